import {
  hasBearer,
  KEEPALIVE,
  type KeyServiceServer,
  KeyServiceService,
  type ServerTls,
  serverCredentials,
  toWatchKeysResponse,
  type WatchKeysRequest,
  type WatchKeysResponse,
} from "@culvert/contracts";
import type { KeySource, KeyUpdate } from "@culvert/credentials";
import type { Logger } from "@culvert/telemetry";
import { Server, type ServerWritableStream, type StatusObject, status } from "@grpc/grpc-js";
import type { FailureLimiter } from "./failure-limiter.ts";
import type { CredentialMetrics } from "./metrics.ts";

/** Messages that may wait for a slow watcher. Beyond, it is told to start again with a snapshot. */
const MAX_QUEUED = 1024;

export interface KeyServerOptions {
  readonly host: string;
  readonly port: number;
  readonly token: string | undefined;
  readonly tls: ServerTls | undefined;
  readonly maxWatchers: number;
  readonly feed: KeySource;
  readonly limiter: FailureLimiter;
  readonly metrics: CredentialMetrics;
  readonly clock: () => number;
  readonly logger: Logger;
}

export interface KeyServer {
  listen(): Promise<{ readonly host: string; readonly port: number }>;
  close(): Promise<void>;
}

type Call = ServerWritableStream<WatchKeysRequest, WatchKeysResponse>;

/** Serves `culvert.credential.v1.KeyService`. */
export function createKeyServer(options: KeyServerOptions): KeyServer {
  const { feed, limiter, metrics, clock, logger } = options;
  const server = new Server(KEEPALIVE);
  const open = new Set<Call>();

  const refusal = (call: Call): Partial<StatusObject> | undefined => {
    if (options.token !== undefined) {
      const source = sourceIp(call.getPeer());
      const wait = limiter.waitSeconds(source, clock());
      if (wait > 0) return { code: status.RESOURCE_EXHAUSTED, details: `too many failures; try again in ${wait} s` };
      if (!hasBearer(call.metadata, options.token)) {
        limiter.fail(source, clock());
        metrics.authenticationFailed("grpc");
        return { code: status.UNAUTHENTICATED, details: "the shared token is missing or wrong" };
      }
    }
    if (open.size < options.maxWatchers) return undefined;
    return { code: status.RESOURCE_EXHAUSTED, details: `${options.maxWatchers} watchers are the most` };
  };

  const watchKeys: KeyServiceServer["watchKeys"] = (call: Call) => {
    const refused = refusal(call);
    if (refused !== undefined) {
      call.emit("error", refused);
      return;
    }
    // The name comes from outside: cut, and as a value of its own in the log line.
    const watcher = call.request.watcher.slice(0, 64);
    open.add(call);
    metrics.watchers(1);
    logger.info({ watcher }, "key watcher came");
    const send = (update: KeyUpdate): void => {
      if (call.writableLength >= MAX_QUEUED) {
        call.emit("error", { code: status.RESOURCE_EXHAUSTED, details: "the watcher is too slow" });
        leave();
        return;
      }
      call.write(toWatchKeysResponse(update));
    };
    const watch = feed.watch({
      onSnapshot: (snapshot, revision) => send({ revision, snapshot }),
      onChange: (change, revision) => send({ revision, change }),
    });
    const leave = (): void => {
      watch.close();
      if (!open.delete(call)) return;
      metrics.watchers(-1);
      logger.info({ watcher }, "key watcher went");
    };
    for (const event of ["cancelled", "close", "finish"]) call.on(event, leave);
    call.on("error", leave);
  };
  server.addService(KeyServiceService, { watchKeys });

  return {
    listen: () =>
      new Promise((resolve, reject) => {
        const host = options.host.includes(":") ? `[${options.host}]` : options.host;
        server.bindAsync(`${host}:${options.port}`, serverCredentials(options.tls), (error, port) => {
          if (error === null) return resolve({ host: options.host, port });
          reject(new ListenError(`credential.grpc.port: ${options.port}: cannot listen on ${host} (${error.message})`));
        });
      }),
    close: () =>
      new Promise((resolve) => {
        for (const call of open) call.end();
        const late = setTimeout(() => server.forceShutdown(), 1_000);
        server.tryShutdown(() => {
          clearTimeout(late);
          resolve();
        });
      }),
  };
}

/** An address that cannot be listened on. */
class ListenError extends Error {
  override readonly name = "ListenError";
}

/** `1.2.3.4:5`, `[::1]:5` or `ipv4:1.2.3.4:5` without the port. */
function sourceIp(peer: string): string {
  return /\[?([0-9a-fA-F:.]+?)\]?:\d+$/.exec(peer.replace(/^ipv[46]:/, ""))?.[1] ?? peer;
}
