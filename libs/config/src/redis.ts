import { z } from "zod";
import { type GrpcClientTls, grpcClientTls, readClientTls } from "./grpc.ts";
import { secret } from "./meta.ts";

/** The key `redis` of a service, checked. What each key means stands in its schema. */
export interface RedisConfig {
  readonly url?: string;
  readonly sentinels?: readonly string[];
  readonly master?: string;
  readonly sentinelUsername?: string;
  readonly sentinelPassword?: string;
  readonly cluster?: readonly string[];
  readonly database: number;
  readonly username?: string;
  readonly password?: string;
  readonly tls?: GrpcClientTls;
  readonly prefix: string;
  readonly commandTimeout: number;
}

/** A host name or an IP address without brackets, and a port. */
export interface RedisAddress {
  readonly host: string;
  readonly port: number;
}

/** The same with addresses in parts and what stands in the files. */
export interface RedisAccess {
  readonly server:
    | ({ readonly kind: "standalone" } & RedisAddress)
    | {
        readonly kind: "sentinel";
        readonly sentinels: readonly RedisAddress[];
        readonly master: string;
        readonly username?: string;
        readonly password?: string;
      }
    | { readonly kind: "cluster"; readonly nodes: readonly RedisAddress[] };
  readonly database: number;
  readonly username?: string;
  readonly password?: string;
  /** Absent: plain TCP. */
  readonly tls?: GrpcClientTls;
  readonly prefix: string;
  readonly commandTimeoutMs: number;
}

const HOST = "(?:[^\\s:/[\\]@,]+|\\[[0-9a-fA-F:.]+\\])";
const SERVER = new RegExp(`^${HOST}(?::\\d{1,5})?$`);
const URL_SHAPE = new RegExp(`^rediss?://${HOST}(?::\\d{1,5})?/?$`);
const REDIS_PORT = 6379;
const SENTINEL_PORT = 26_379;

/** The key `redis` of every service that can use Redis. `what` says what is kept there, in a sentence. */
export function redisSection(what: string): z.ZodType<RedisConfig> {
  return z
    .strictObject({
      url: z
        .string()
        .regex(
          URL_SHAPE,
          "must be redis://host:port, or rediss://host:port for TLS; user, password and database have keys of their own",
        )
        .exactOptional()
        .describe("A single server, redis://host:port, or rediss://host:port for TLS. Port 6379 where none is named."),
      sentinels: servers("host:port of the Sentinels that know where the master is. Port 26379 where none is named."),
      master: z.string().min(1).exactOptional().describe("The name by which the Sentinels know the master."),
      sentinelUsername: z.string().min(1).exactOptional().describe("ACL user at the Sentinels."),
      sentinelPassword: secret(z.string().min(1)).exactOptional().describe("Password at the Sentinels."),
      cluster: servers("host:port of nodes of a Redis Cluster; the others are found. Port 6379 where none is named."),
      database: z.int().min(0).max(65_535).default(0).describe("Number of the database. A cluster has 0 only."),
      username: z.string().min(1).exactOptional().describe("ACL user."),
      password: secret(z.string().min(1)).exactOptional().describe("Password, of the ACL user or of the server."),
      tls: grpcClientTls(),
      prefix: z
        .string()
        .regex(/^[A-Za-z0-9._-]{1,64}$/, "must be 1 to 64 letters, digits, dots, dashes or underscores")
        .default("culvert")
        .describe("All keys begin with it, in braces: {culvert}. An ACL user needs ~{culvert}*."),
      commandTimeout: z
        .number()
        .min(0.1)
        .max(60)
        .default(2)
        .describe("Seconds until a command without an answer is given up, and the connection with it."),
    })
    .check(({ value, issues }) => {
      const problem = problemOf(value);
      if (problem === undefined) return;
      issues.push({ code: "custom", input: undefined, path: [problem.key], message: problem.message });
    })
    .describe(`Redis 6.2 or newer. ${what}`);
}

function servers(description: string): z.ZodExactOptional<z.ZodArray<z.ZodString>> {
  return z
    .array(z.string().regex(SERVER, "must be host:port, an IPv6 address in brackets"))
    .min(1)
    .exactOptional()
    .describe(description);
}

function problemOf(config: RedisConfig): { readonly key: keyof RedisConfig; readonly message: string } | undefined {
  const { url, sentinels, master, cluster, username, password, sentinelUsername, sentinelPassword } = config;
  const ways = (["url", "sentinels", "cluster"] as const).filter((key) => config[key] !== undefined);
  const [, second] = ways;
  if (ways.length === 0) return { key: "url", message: "must be set, or sentinels and master, or cluster" };
  if (second !== undefined) return { key: second, message: "must be the only one of url, sentinels and cluster" };
  if (sentinels !== undefined && master === undefined) return { key: "master", message: "must be set with sentinels" };
  if (sentinels === undefined) {
    const alone = (["master", "sentinelUsername", "sentinelPassword"] as const).find(
      (key) => config[key] !== undefined,
    );
    if (alone !== undefined) return { key: alone, message: "goes with sentinels only" };
  }
  if (cluster !== undefined && config.database !== 0) return { key: "database", message: "must be 0 with cluster" };
  if (username !== undefined && password === undefined)
    return { key: "password", message: "must be set with username" };
  if (sentinelUsername !== undefined && sentinelPassword === undefined) {
    return { key: "sentinelPassword", message: "must be set with sentinelUsername" };
  }
  if (url?.startsWith("redis://") === true && config.tls !== undefined) {
    return { key: "url", message: "must begin with rediss:// where tls is set" };
  }
  return undefined;
}

/** Reads the files. Throws a ConfigError that names the key, which starts with `prefix`: `relay.fleet.redis`. */
export function readRedisAccess(prefix: string, config: RedisConfig): RedisAccess {
  const { database, username, password, url, commandTimeout } = config;
  const files = config.tls ?? (url?.startsWith("rediss:") === true ? {} : undefined);
  return {
    server: serverOf(config),
    database,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(files === undefined ? {} : { tls: readClientTls(`${prefix}.tls`, files) }),
    prefix: config.prefix,
    commandTimeoutMs: commandTimeout * 1000,
  };
}

function serverOf(config: RedisConfig): RedisAccess["server"] {
  const { url = "", sentinels, master = "", sentinelUsername, sentinelPassword, cluster } = config;
  if (sentinels !== undefined) {
    return {
      kind: "sentinel",
      sentinels: sentinels.map((text) => addressOf(text, SENTINEL_PORT)),
      master,
      ...(sentinelUsername === undefined ? {} : { username: sentinelUsername }),
      ...(sentinelPassword === undefined ? {} : { password: sentinelPassword }),
    };
  }
  if (cluster !== undefined) return { kind: "cluster", nodes: cluster.map((text) => addressOf(text, REDIS_PORT)) };
  return { kind: "standalone", ...addressOf(url.replace(/^rediss?:\/\/|\/$/g, ""), REDIS_PORT) };
}

function addressOf(text: string, defaultPort: number): RedisAddress {
  const [, ip, name = "", port] = /^(?:\[(.*)\]|([^:]*))(?::(\d+))?$/.exec(text) ?? [];
  return { host: ip ?? name, port: port === undefined ? defaultPort : Number(port) };
}
