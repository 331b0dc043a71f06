import type { KeyUpdate } from "@culvert/credentials";
import type { StoreWatch } from "../../credential-store.ts";
import { connectRedis, type RedisClient, type RedisConnection } from "../client.ts";
import type { RedisLink } from "../link.ts";
import type { RedisOptions } from "../options.ts";
import { decodeChange, decodeSnapshot, type RevisedSnapshot } from "./codec.ts";
import { CREDENTIAL_SCRIPTS } from "./scripts.ts";

/** Milliseconds that the server waits for a change before it says that there was none. */
const WAIT_MS = 2000;
const RETRY_MS = 200;
const BATCH = 500;

interface Watcher {
  readonly listener: (update: KeyUpdate) => void;
  /** Of what it was told last. Undefined: its first snapshot is under way. */
  revision: bigint | undefined;
  /** What was told meanwhile. */
  readonly waiting: KeyUpdate[];
}

interface Entry {
  readonly revision: bigint;
  readonly fields: readonly string[];
}

/** Follows the log of changes, on a connection of its own, for all who watch. */
export class ChangeLog {
  readonly #link: RedisLink;
  readonly #options: RedisOptions;
  readonly #watchers = new Set<Watcher>();
  #tail: RedisConnection | undefined;
  /** Of what all watchers were told last. */
  #position: bigint | undefined;
  #closed = false;

  constructor(link: RedisLink, options: RedisOptions) {
    this.#link = link;
    this.#options = options;
  }

  async watch(listener: (update: KeyUpdate) => void): Promise<StoreWatch> {
    const watcher: Watcher = { listener, revision: undefined, waiting: [] };
    this.#watchers.add(watcher);
    try {
      const first = await this.#snapshot();
      this.#begin(first.revision);
      watcher.revision = first.revision;
      listener(first);
      for (const update of watcher.waiting.splice(0)) this.#tell(watcher, update);
    } catch (error) {
      this.#watchers.delete(watcher);
      throw error;
    }
    return {
      close: async () => {
        this.#watchers.delete(watcher);
      },
    };
  }

  close(): void {
    this.#closed = true;
    this.#watchers.clear();
    this.#tail?.close();
  }

  #begin(position: bigint): void {
    if (this.#tail !== undefined || this.#closed) return;
    this.#position = position;
    this.#tail = connectRedis(this.#options, WAIT_MS);
    // What is wrong is seen by the commands that fail.
    this.#tail.client.on("error", () => {});
    void this.#follow(this.#tail.client);
  }

  async #follow(tail: RedisClient): Promise<void> {
    let certain = true;
    while (!this.#closed) {
      await isReady(tail);
      try {
        // After an interruption the server may be another one, which knows other changes by the same numbers.
        if (!certain) await this.#start();
        certain = true;
        const entries = await this.#read(tail);
        if (entries.length === 0) await this.#verify();
        else await this.#tellAll(entries);
      } catch {
        certain = false;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS).unref());
      }
    }
  }

  async #read(tail: RedisClient): Promise<readonly Entry[]> {
    const key = `${this.#link.prefix}:c:log`;
    const from = `${this.#position}-0`;
    const streams = await tail.xread("COUNT", BATCH, "BLOCK", WAIT_MS, "STREAMS", key, from);
    return (streams ?? []).flatMap(([, entries]) =>
      entries.map(([id, fields]) => ({ revision: BigInt(id.split("-")[0] ?? "0"), fields })),
    );
  }

  async #tellAll(entries: readonly Entry[]): Promise<void> {
    for (const { revision, fields } of entries) {
      const change = decodeChange(fields);
      // The log was cut, or the data are others than before.
      if (revision !== (this.#position ?? 0n) + 1n || change === undefined) return this.#start();
      this.#position = revision;
      for (const watcher of this.#watchers) this.#tell(watcher, { revision, change });
    }
  }

  /** No change came: is that so, or are the data others than before? */
  async #verify(): Promise<void> {
    const revision = BigInt(String(await this.#link.run(CREDENTIAL_SCRIPTS.revision)));
    const position = this.#position ?? 0n;
    if (revision === position) return;
    // One that came just now is still to be read.
    if (revision > position && (await this.#hasNext(position))) return;
    await this.#start();
  }

  async #hasNext(position: bigint): Promise<boolean> {
    const key = `${this.#link.prefix}:c:log`;
    const next = `${position + 1n}-0`;
    return this.#link.command(async (client) => (await client.xrange(key, next, next)).length > 0);
  }

  /** Tells everybody a new snapshot and goes on from there. */
  async #start(): Promise<void> {
    const update = await this.#snapshot();
    this.#position = update.revision;
    for (const watcher of this.#watchers) this.#tell(watcher, update);
  }

  async #snapshot(): Promise<RevisedSnapshot> {
    return decodeSnapshot(await this.#link.run(CREDENTIAL_SCRIPTS.snapshot));
  }

  #tell(watcher: Watcher, update: KeyUpdate): void {
    if (watcher.revision === undefined) {
      watcher.waiting.push(update);
      return;
    }
    if ("change" in update && update.revision <= watcher.revision) return;
    watcher.revision = update.revision;
    watcher.listener(update);
  }
}

/** Resolves when the client is connected, now or some time. */
async function isReady(client: RedisClient): Promise<void> {
  if (client.status === "ready") return;
  await new Promise<void>((resolve) => client.once("ready", resolve));
}
