import { Cluster, type RedisOptions as IoRedisOptions, Redis } from "ioredis";
import type { RedisOptions } from "./options.ts";
import { watchSentinels } from "./sentinel-watch.ts";

export type RedisClient = Redis | Cluster;

/** A client, and what belongs to it. */
export interface RedisConnection {
  readonly client: RedisClient;
  close(): void;
}

type ClientOptions = Omit<IoRedisOptions, "replyMapping">;

const FIRST_RETRY_MS = 50;
const MAX_RETRY_MS = 1000;
const CONNECT_MS = 5000;
/** How old a cluster's map of slots gets, in milliseconds. */
const MAP_MS = 2000;

/** Milliseconds until the next attempt: doubled each time up to a second, without end. */
function retryDelay(attempt: number): number {
  return Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(attempt - 1, 10));
}

/**
 * A client that connects by itself and for ever. While it is not connected commands are refused at once; those under way
 * when a connection ends are rejected, not sent again: their callers know what may be done twice.
 *
 * @param waits the connection is for commands that wait on the server for up to so many milliseconds
 */
export function connectRedis(options: RedisOptions, waits = 0): RedisConnection {
  const { server, database, username, password, tls } = options;
  const wire: ClientOptions = {
    protocol: 2,
    disableClientInfo: true,
    ...(tls === undefined ? {} : { tls: { ...tls } }),
    connectTimeout: CONNECT_MS,
  };
  const common: ClientOptions = {
    ...wire,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    socketTimeout: options.commandTimeoutMs + waits,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // A server that was the master until now.
    reconnectOnError: (error) => error.message.startsWith("READONLY"),
  };
  if (server.kind === "cluster") {
    const cluster = new Cluster([...server.nodes], {
      redisOptions: common,
      enableOfflineQueue: false,
      clusterRetryStrategy: retryDelay,
      slotsRefreshTimeout: options.commandTimeoutMs,
      slotsRefreshInterval: MAP_MS,
      // Names stay names: certificates are for them, and their addresses may change.
      dnsLookup: (address, callback) => callback(null, address),
    });
    return { client: cluster, close: () => cluster.disconnect() };
  }
  const own: ClientOptions = { ...common, db: database, enableOfflineQueue: false, retryStrategy: retryDelay };
  if (server.kind === "standalone") {
    const client = new Redis({ ...own, host: server.host, port: server.port });
    return { client, close: () => client.disconnect() };
  }
  const client = new Redis({
    ...own,
    sentinels: [...server.sentinels],
    name: server.master,
    ...(server.username === undefined ? {} : { sentinelUsername: server.username }),
    ...(server.password === undefined ? {} : { sentinelPassword: server.password }),
    ...(tls === undefined ? {} : { enableTLSForSentinelMode: true, sentinelTLS: { ...tls } }),
    sentinelCommandTimeout: options.commandTimeoutMs,
    sentinelRetryStrategy: retryDelay,
  });
  const access = {
    ...wire,
    ...(server.username === undefined ? {} : { username: server.username }),
    ...(server.password === undefined ? {} : { password: server.password }),
    retryStrategy: retryDelay,
  };
  const stopWatching = watchSentinels(
    server.sentinels.map((address) => ({ ...access, ...address })),
    server.master,
    (address) => {
      const { remoteAddress, remotePort } = client.stream ?? {};
      if (client.status === "ready" && `${remoteAddress}:${remotePort}` !== address) client.disconnect(true);
    },
  );
  const close = (): void => {
    stopWatching();
    client.disconnect();
  };
  return { client, close };
}
