import { inSpan, outside, type SpanSpec } from "@culvert/tracing";
import { Cluster } from "ioredis";
import { StoreUnavailable } from "../store-unavailable.ts";
import { connectRedis, type RedisClient, type RedisConnection } from "./client.ts";
import type { RedisOptions } from "./options.ts";
import type { Script } from "./script.ts";
import { commandSpan, scriptSpans } from "./spans.ts";

export type Health = { readonly up: true } | { readonly up: false; readonly reason: string };

/** Commands that may wait for an answer at once. */
const MAX_PENDING = 20_000;
/** Commands of one pipeline: other clients have their turn between two. */
const MAX_PIPELINE = 200;
/** Milliseconds between looks at a server that does not do its work. */
const PROBE_MS = 250;
const NOT_CONNECTED = "not connected";
/** Errors that say that the server cannot write now, or is not the right one. */
const UNFIT = /^(READONLY|LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOREPLICAS|MISCONF|OOM|BUSY|NOAUTH|UNBLOCKED)\b/;

/**
 * A connection to Redis that comes back by itself. While Redis does not answer, or cannot write, everything is refused at
 * once with {@link StoreUnavailable}: nothing queues up.
 */
export class RedisLink {
  /** What all keys begin with. */
  readonly prefix: string;
  readonly #options: RedisOptions;
  readonly #connection: RedisConnection;
  readonly #client: RedisClient;
  readonly #scripts: readonly Script[];
  readonly #spans: ReadonlyMap<string, SpanSpec>;
  readonly #commandSpan: SpanSpec;
  readonly #listeners = new Set<(health: Health) => void>();
  #health: Health = { up: false, reason: NOT_CONNECTED };
  /** Why the client is not connected. */
  #problem = NOT_CONNECTED;
  #pending = 0;
  #probe: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param scripts are brought to the server before anything else, so that they cost one round trip each from then on */
  constructor(options: RedisOptions, scripts: Readonly<Record<string, Script>>) {
    this.#options = options;
    this.#scripts = Object.values(scripts);
    this.#spans = scriptSpans(options, scripts);
    this.#commandSpan = commandSpan(options);
    this.prefix = `{${options.prefix}}`;
    this.#connection = connectRedis(options);
    this.#client = this.#connection.client;
    this.#client.on("ready", () => void this.#look());
    this.#client.on("error", (error: Error) => this.#remember(error));
    this.#client.on("close", () => this.#down(this.#problem));
    this.#client.on("end", () => this.#down(this.#problem));
  }

  get health(): Health {
    return this.#health;
  }

  /** @returns ends it */
  onHealthChange(listener: (health: Health) => void): () => void {
    // A function of its own for each call: one listener may listen twice.
    const own = (health: Health): void => listener(health);
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  /** @returns false when Redis does not answer within so many milliseconds */
  untilUp(ms: number): Promise<boolean> {
    if (this.#health.up) return Promise.resolve(true);
    return new Promise((resolve) => {
      const end = (up: boolean): void => {
        clearTimeout(timer);
        stop();
        resolve(up);
      };
      const stop = this.onHealthChange(({ up }) => up && end(true));
      const timer = setTimeout(() => end(false), ms);
    });
  }

  /** Runs a script with what all keys begin with, and words. */
  async run({ lua, sha }: Script, ...words: readonly (string | number)[]): Promise<unknown> {
    return inSpan(this.#spanOf(sha), () =>
      this.#ask(async (client) => {
        try {
          return await client.evalsha(sha, 1, this.prefix, ...words);
        } catch (error) {
          if (!isUnknownScript(error)) throw error;
          return client.eval(lua, 1, this.prefix, ...words);
        }
      }),
    );
  }

  /** Runs a script once for each row of words, in their order. */
  async runAll(of: Script, rows: readonly (readonly (string | number)[])[]): Promise<readonly unknown[]> {
    const results: unknown[] = [];
    for (let from = 0; from < rows.length; from += MAX_PIPELINE) {
      results.push(...(await this.#pipeline(of, rows.slice(from, from + MAX_PIPELINE))));
    }
    return results;
  }

  #pipeline({ lua, sha }: Script, rows: readonly (readonly (string | number)[])[]): Promise<readonly unknown[]> {
    return inSpan(this.#spanOf(sha), (span) => {
      span?.setAttribute("db.operation.batch.size", rows.length);
      return this.#ask(async (client) => {
        const replies = await client.pipeline(rows.map((words) => ["evalsha", sha, 1, this.prefix, ...words])).exec();
        const out: unknown[] = [];
        for (const [index, [error, reply]] of (replies ?? []).entries()) {
          if (error === null) out.push(reply);
          else if (isUnknownScript(error)) out.push(await client.eval(lua, 1, this.prefix, ...(rows[index] ?? [])));
          else throw error;
        }
        return out;
      });
    });
  }

  /** Runs commands of the client. */
  command<T>(ask: (client: RedisClient) => Promise<T>): Promise<T> {
    return inSpan(this.#commandSpan, () => this.#ask(ask));
  }

  #spanOf(sha: string): SpanSpec {
    return this.#spans.get(sha) ?? this.#commandSpan;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#probe);
    this.#down("closed");
    this.#listeners.clear();
    this.#connection.close();
  }

  async #ask<T>(ask: (client: RedisClient) => Promise<T>): Promise<T> {
    const { observer } = this.#options;
    if (!this.#health.up) {
      observer?.failed("down");
      throw new StoreUnavailable(`Redis: ${this.#health.reason}`);
    }
    if (this.#pending >= MAX_PENDING) {
      observer?.failed("overload");
      throw new StoreUnavailable("Redis: too many commands wait for an answer");
    }
    this.#pending += 1;
    const began = performance.now();
    try {
      const answer = await this.#timed(ask);
      observer?.exchanged((performance.now() - began) / 1000);
      return answer;
    } catch (error) {
      observer?.failed(error instanceof Outage ? "timeout" : "error");
      const problem = this.#client.status === "ready" ? messageOf(error) : this.#problem;
      // What follows concerns more than who asked.
      if (isOutage(error)) outside(() => this.#down(problem));
      throw new StoreUnavailable(`Redis: ${problem}`, { cause: error });
    } finally {
      this.#pending -= 1;
    }
  }

  #timed<T>(ask: (client: RedisClient) => Promise<T>): Promise<T> {
    const ms = this.#options.commandTimeoutMs;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Outage(`no answer within ${ms} ms`)), ms);
      this.#gather();
      ask(this.#client)
        .then(resolve, reject)
        .finally(() => clearTimeout(timer));
    });
  }

  /** What is asked in this turn of the event loop leaves in one write. */
  #gather(): void {
    const stream = this.#client instanceof Cluster ? undefined : this.#client.stream;
    if (stream === undefined || stream.writableCorked > 0) return;
    stream.cork();
    process.nextTick(() => stream.uncork());
  }

  /** Whether the server writes. */
  async #look(): Promise<void> {
    clearTimeout(this.#probe);
    // A client that connects tells by itself when it is ready.
    if (this.#closed || this.#client.status !== "ready") return;
    try {
      await this.#timed((client) => client.set(`${this.prefix}:probe`, "", "PX", 1000));
      await this.#prepare();
      if (!this.#closed) this.#up();
    } catch (error) {
      this.#down(this.#client.status === "ready" ? messageOf(error) : this.#problem);
    }
  }

  async #prepare(): Promise<void> {
    if (this.#health.up) return;
    const nodes = this.#client instanceof Cluster ? this.#client.nodes("master") : [this.#client];
    const load = this.#scripts.map(({ lua }) => ["script", "load", lua]);
    // Where that fails, a script is sent with its first call.
    await this.#timed(() => Promise.allSettled(nodes.map((node) => node.pipeline(load).exec())));
    const [memory] = await this.#timed(() => Promise.allSettled(nodes.slice(0, 1).map((node) => node.info("memory"))));
    const policy = memory?.status === "fulfilled" ? /maxmemory_policy:(\S+)/.exec(memory.value)?.[1] : undefined;
    if (policy === undefined || policy === "noeviction") return;
    this.#options.logger?.warn(
      { policy },
      "Redis drops what it has when memory is short: set maxmemory-policy noeviction",
    );
  }

  #remember(error: Error): void {
    this.#problem = messageOf(error);
    if (!this.#health.up) this.#health = { up: false, reason: this.#problem };
  }

  #up(): void {
    clearTimeout(this.#probe);
    this.#problem = NOT_CONNECTED;
    if (this.#health.up) return;
    this.#options.logger?.info({ server: describe(this.#options) }, "Redis answers");
    this.#tell({ up: true });
  }

  #down(reason: string): void {
    if (!this.#closed) {
      clearTimeout(this.#probe);
      this.#probe = setTimeout(() => void this.#look(), PROBE_MS);
    }
    if (!this.#health.up) {
      this.#health = { up: false, reason: this.#closed ? "closed" : reason };
      return;
    }
    if (!this.#closed) this.#options.logger?.warn({ server: describe(this.#options), reason }, "Redis does not answer");
    this.#tell({ up: false, reason });
  }

  #tell(health: Health): void {
    this.#health = health;
    const { observer } = this.#options;
    if (health.up) observer?.connected();
    else observer?.lost();
    for (const listener of [...this.#listeners]) listener(health);
  }
}

/** The server did not answer, or not as one that works. */
class Outage extends Error {}

function isOutage(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.name !== "ReplyError" || UNFIT.test(error.message);
}

function isUnknownScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("NOSCRIPT");
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const message = error.message === "" ? error.name : error.message;
  // Of a cluster none of whose nodes answers.
  return "lastNodeError" in error && error.lastNodeError instanceof Error
    ? `${message} ${error.lastNodeError.message}`
    : message;
}

function describe({ server }: RedisOptions): string {
  const name = ({ host, port }: { readonly host: string; readonly port: number }): string => `${host}:${port}`;
  if (server.kind === "standalone") return name(server);
  return server.kind === "cluster" ? server.nodes.map(name).join(",") : `${server.master} at a Sentinel`;
}
