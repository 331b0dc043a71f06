import { randomInt } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import {
  type ConnectionOptions,
  connect,
  credsAuthenticator,
  type NatsConnection,
  type NodeConnectionOptions,
  type Status,
} from "@nats-io/transport-node";
import type { BusHealth } from "../port.ts";
import type { NatsObserver } from "./observer.ts";

/** How to reach NATS, and who one is there. All of user, token and credentials may be absent, or one is there. */
export interface NatsOptions {
  /** `host:port` or `nats://host:port`; servers of one cluster. */
  readonly servers: readonly string[];
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  /** What stands in a credentials file (JWT and seed). */
  readonly credentials?: string;
  /** PEM texts. Absent: plaintext, unless the server insists. Empty: the system's authorities. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  /** Shown in the server's list of connections. */
  readonly name?: string;
  /** Milliseconds between signs of life; two without an answer end the connection. Default 2000. */
  readonly pingIntervalMs?: number;
  /** Told of what there is to measure. */
  readonly observer?: NatsObserver;
}

/** How long one attempt to connect may take, and the times between two attempts. Milliseconds. */
const CONNECT_MS = 2000;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 2000;

export interface LinkListener {
  /** A connection is there that has no subscriptions yet. */
  opened(connection: NatsConnection): void;
  health(health: BusHealth): void;
  /** Something that the server refused. */
  refused(error: Error): void;
}

/**
 * Keeps one connection to NATS, without end: whatever ends it, another attempt follows within {@link RETRY_MAX_MS}. It is up
 * while the server has taken all subscriptions and answers.
 */
export class NatsLink {
  readonly #options: NatsOptions;
  readonly #listeners = new Set<LinkListener>();
  readonly #abort = new AbortController();
  #connection: NatsConnection | undefined;
  #health: BusHealth = { up: false, reason: "not connected yet" };
  #failures = 0;
  #running: Promise<void> | undefined;

  constructor(options: NatsOptions) {
    this.#options = options;
  }

  /** The connection, also while it is down; undefined while there is none. */
  get connection(): NatsConnection | undefined {
    return this.#connection;
  }

  get closed(): boolean {
    return this.#abort.signal.aborted;
  }

  health(): BusHealth {
    return this.#health;
  }

  /** Must be called before {@link open}, to miss nothing. */
  listen(listener: LinkListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Begins to connect. @throws Error of one line for options that can never work */
  open(): void {
    const options = this.#connectionOptions();
    this.#running ??= this.#run(options);
  }

  /** Sends what was published, for at most half a second, and closes. Idempotent. */
  async close(): Promise<void> {
    if (!this.closed) {
      const connection = this.#connection;
      if (connection !== undefined && this.#health.up) {
        await Promise.race([connection.flush().catch(() => {}), delay(500, undefined, { ref: false })]);
      }
      this.#abort.abort();
      this.#set({ up: false, reason: "closed" });
      await connection?.close();
    }
    await this.#running;
  }

  async #run(options: NodeConnectionOptions): Promise<void> {
    while (!this.closed) {
      try {
        const connection = await connect(options);
        if (this.closed) {
          await connection.close();
          return;
        }
        await this.#follow(connection);
      } catch (error) {
        this.#down(error);
      }
      await delay(this.#retryMs(), undefined, { signal: this.#abort.signal }).catch(() => {});
    }
  }

  /** Until the connection is closed for good, as happens when its server turns it out. */
  async #follow(connection: NatsConnection): Promise<void> {
    this.#connection = connection;
    const statuses = connection.status();
    for (const listener of this.#listeners) listener.opened(connection);
    await this.#settle(connection);
    for await (const status of statuses) await this.#take(connection, status);
    this.#connection = undefined;
    const reason = await connection.closed();
    this.#down(reason instanceof Error ? reason : new Error("disconnected"));
  }

  async #take(connection: NatsConnection, status: Status): Promise<void> {
    switch (status.type) {
      case "disconnect":
        this.#down(new Error("disconnected"));
        break;
      case "reconnect":
        await this.#settle(connection);
        break;
      case "error":
        for (const listener of this.#listeners) listener.refused(status.error);
        break;
    }
  }

  /** Up once the server has answered, and so has taken what was sent before: the subscriptions. */
  async #settle(connection: NatsConnection): Promise<void> {
    const answered = connection.flush().then(
      () => true,
      () => false,
    );
    const ended = connection.closed().then(() => false);
    if (!(await Promise.race([answered, ended])) || this.closed) return;
    this.#failures = 0;
    this.#set({ up: true });
  }

  #down(error: unknown): void {
    if (this.closed) return;
    const text = error instanceof Error ? error.message : String(error);
    this.#set({ up: false, reason: text.split("\n", 1)[0] ?? "down" });
  }

  #set(health: BusHealth): void {
    const changed = health.up !== this.#health.up;
    this.#health = health;
    if (changed) for (const listener of [...this.#listeners]) listener.health(health);
  }

  /** Doubles with each failure, half of it by chance: a fleet does not come back in one instant. */
  #retryMs(): number {
    const longest = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(this.#failures, 10));
    this.#failures += 1;
    return randomInt(Math.ceil(longest / 2), longest + 1);
  }

  #connectionOptions(): NodeConnectionOptions {
    const { servers, user, password, token, credentials, tls, name, pingIntervalMs } = this.#options;
    const who: Partial<ConnectionOptions> = {
      ...(user === undefined ? {} : { user }),
      ...(password === undefined ? {} : { pass: password }),
      ...(token === undefined ? {} : { token }),
      ...(credentials === undefined
        ? {}
        : { authenticator: credsAuthenticator(new TextEncoder().encode(credentials)) }),
    };
    return {
      servers: [...servers],
      ...who,
      ...(tls === undefined ? {} : { tls: { ...tls, ...identityOf(servers) } }),
      ...(name === undefined ? {} : { name }),
      timeout: CONNECT_MS,
      pingInterval: pingIntervalMs ?? 2000,
      maxPingOut: 2,
      reconnect: true,
      maxReconnectAttempts: -1,
      reconnectDelayHandler: () => this.#retryMs(),
      ignoreAuthErrorAbort: true,
      noAsyncTraces: true,
    };
  }
}

/**
 * The certificate must be for one of the servers that are named. By itself the client wants one for `localhost` where a server
 * is named by its IP address.
 */
function identityOf(servers: readonly string[]) {
  const hosts = servers.map((server) => new URL(server.includes("://") ? server : `nats://${server}`).hostname);
  return {
    checkServerIdentity: (_host: string, certificate: PeerCertificate): Error | undefined => {
      const problems = hosts.map((host) => checkServerIdentity(host.replace(/^\[|\]$/g, ""), certificate));
      return problems.includes(undefined) ? undefined : problems[0];
    },
  };
}
