/** A host name or an IP address without brackets, and a port. */
export interface RedisAddress {
  readonly host: string;
  readonly port: number;
}

/** How Redis is reached. */
export interface RedisOptions {
  readonly server:
    | ({ readonly kind: "standalone" } & RedisAddress)
    | {
        readonly kind: "sentinel";
        readonly sentinels: readonly RedisAddress[];
        /** Name of the master at the Sentinels. */
        readonly master: string;
        readonly username?: string;
        readonly password?: string;
      }
    | { readonly kind: "cluster"; readonly nodes: readonly RedisAddress[] };
  /** Number of the database; 0 in a cluster. */
  readonly database: number;
  /** ACL user. */
  readonly username?: string;
  readonly password?: string;
  /** PEM texts. Absent: plain TCP. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  /** All keys begin with it, in braces, so that one node of a cluster has them. */
  readonly prefix: string;
  /** Milliseconds until a command without an answer is given up, and the connection with it. */
  readonly commandTimeoutMs: number;
  /** Tells of connections that are lost and back. */
  readonly logger?: RedisLogger;
  /** Told of what there is to measure. */
  readonly observer?: RedisObserver;
}

/** What there is to measure of a connection to Redis. */
export interface RedisObserver {
  /** A command, script or pipeline was answered after so many seconds. */
  exchanged(seconds: number): void;
  /** `down` and `overload` were refused without being sent. */
  failed(how: "down" | "overload" | "timeout" | "error"): void;
  connected(): void;
  lost(): void;
}

/** The part of a pino logger that is used here. */
export interface RedisLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}
