import { WriteBehind } from "@culvert/fleet";
import type { FleetStore, FleetWrite, WriteResult } from "@culvert/state";
import type { Logger } from "@culvert/telemetry";
import type { ControlLoop } from "../control-loop.ts";
import { WriteTraces } from "../tracing/write-traces.ts";
import type { FleetTime } from "./fleet-time.ts";
import type { Frontends } from "./frontends.ts";
import type { Ledger } from "./ledger.ts";
import { recordOf } from "./records.ts";
import { Timer } from "./timer.ts";

/** How long writes stand back behind a restore at most, and how often they look whether it is over, in ms. */
const STAND_BACK_MS = 5_000;
const LOOK_MS = 25;

/** What is left of an allocation that ended. */
interface Gone {
  readonly id: string;
  readonly slot: string;
}

export interface WriterOptions {
  readonly store: FleetStore;
  readonly loop: Pick<ControlLoop, "run">;
  readonly ledger: Ledger;
  readonly frontends: Frontends;
  readonly time: FleetTime;
  readonly logger: Logger;
  /** The epoch to write with; undefined: nothing of the slot is to be written now. */
  readonly epochOf: (slot: string) => number | undefined;
  /** Whether the slot is this relay's, its lease lapsed perhaps. */
  readonly holds: (slot: string) => boolean;
  /** The store knows of a newer owner. */
  readonly onStale: (slot: string) => void;
  /** Whether allocations are being restored: until they are, there is no time for writes. */
  readonly restoring: () => boolean;
}

export interface WriterCounters {
  readonly queued: number;
  readonly dropped: number;
  readonly flushes: number;
  readonly failed: number;
  readonly results: Readonly<Record<WriteResult, number>>;
}

/** Writes what changed to the store, behind the back of whoever changed it. */
export class Writer {
  readonly #options: WriterOptions;
  readonly #queue: WriteBehind<Gone> = new WriteBehind<Gone>();
  readonly #timer: Timer;
  readonly #traces = new WriteTraces();
  readonly #results: Record<WriteResult, number> = { written: 0, stale: 0, unleased: 0, superseded: 0 };
  #flushes = 0;
  #failed = 0;
  #stoodBackSince: number | undefined;
  /** Deletions of what never had a number here. */
  #lastKey = 0;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#timer = new Timer(options.time.clock, () => void this.#flush(false));
  }

  counters(): WriterCounters {
    const { size: queued, dropped } = this.#queue;
    return { queued, dropped, flushes: this.#flushes, failed: this.#failed, results: this.#results };
  }

  changed(allocation: number): void {
    this.#traces.note(allocation);
    this.#queue.changed(allocation, this.#options.time.clock());
    this.#schedule();
  }

  deleted(allocation: number, gone: Gone): void {
    this.#traces.note(allocation);
    this.#queue.deleted(allocation, gone, this.#options.time.clock());
    this.#schedule();
  }

  /** Deletes the record of an allocation that does not live here. */
  drop(gone: Gone): void {
    this.deleted(--this.#lastKey, gone);
  }

  /** Another relay owns it. */
  forget(allocation: number): void {
    this.#queue.forget(allocation);
  }

  /** Writes all of these slots' allocations again. */
  republish(slots: readonly string[]): void {
    const wanted = new Set(slots);
    const now = this.#options.time.clock();
    for (const entry of this.#options.ledger) if (wanted.has(entry.slot)) this.#queue.changed(entry.allocation, now);
    this.hurry();
  }

  /** The store is back. */
  hurry(): void {
    this.#queue.hurry();
    this.#schedule();
  }

  /** Writes what waits. Resolves when it is written, or when the store does not take it. */
  async flush(): Promise<void> {
    for (let attempts = 0; this.#queue.size > 0 && attempts < 200; attempts++) {
      const failed = this.#failed;
      await this.#flush(true);
      if (this.#failed > failed) return;
    }
  }

  stop(): void {
    this.#timer.stop();
  }

  #schedule(): void {
    this.#timer.set(this.#queue.due());
  }

  async #flush(hurry: boolean): Promise<void> {
    const { time, store, logger } = this.#options;
    if (!hurry && this.#standsBack(time.clock())) {
      this.#timer.set(time.clock() + LOOK_MS);
      return;
    }
    const changes = this.#queue.take(time.clock(), { hurry });
    if (changes.length === 0) {
      if (hurry) await new Promise((resolve) => setImmediate(resolve));
      this.#schedule();
      return;
    }
    const writes: FleetWrite[] = [];
    const keys: number[] = [];
    this.#options.loop.run((turn) => {
      for (const change of changes) {
        const write =
          change.kind === "delete"
            ? this.#deletion(change.key, change.gone)
            : this.#put(turn.snapshot(change.key), change.key);
        if (write === undefined) continue;
        writes.push(write);
        keys.push(change.key);
      }
    });
    try {
      const results = writes.length === 0 ? [] : await this.#traces.write(writes, keys, () => store.write(writes));
      this.#queue.written();
      this.#flushes++;
      for (const [index, result] of results.entries()) this.#settle(result, writes[index], keys[index] ?? 0);
    } catch (error) {
      this.#failed++;
      this.#queue.failed(time.clock());
      logger.debug({ err: error, writes: writes.length }, "write-behind waits for the store");
    }
    this.#schedule();
  }

  #standsBack(now: number): boolean {
    if (!this.#options.restoring()) {
      this.#stoodBackSince = undefined;
      return false;
    }
    this.#stoodBackSince ??= now;
    return now - this.#stoodBackSince < STAND_BACK_MS;
  }

  #put(snapshot: Parameters<typeof recordOf>[0] | undefined, allocation: number): FleetWrite | undefined {
    const { ledger, frontends, time, epochOf } = this.#options;
    const entry = ledger.get(allocation);
    if (snapshot === undefined || entry === undefined) return undefined;
    const record = recordOf(snapshot, { frontends, offset: time.offset, counters: ledger.counters(entry) });
    const epoch = record === undefined ? undefined : epochOf(record.slot);
    // A slot that is not held now is written as a whole when it is again.
    return record === undefined || epoch === undefined ? undefined : { kind: "put", record, epoch };
  }

  #deletion(key: number, gone: Gone): FleetWrite | undefined {
    const { epochOf, holds, time } = this.#options;
    const epoch = epochOf(gone.slot);
    if (epoch !== undefined) return { kind: "delete", ...gone, epoch };
    // Of a slot whose lease has lapsed it waits until that is known to be lost, or is held again.
    if (holds(gone.slot)) this.#queue.deleted(key, gone, time.clock());
    return undefined;
  }

  #settle(result: WriteResult, write: FleetWrite | undefined, key: number): void {
    this.#results[result]++;
    if (write === undefined || result === "written") return;
    const { onStale, time, ledger, loop } = this.#options;
    if (result === "stale") onStale(write.kind === "put" ? write.record.slot : write.slot);
    else if (result === "unleased") {
      if (write.kind === "put") this.#queue.changed(key, time.clock());
      else this.#queue.deleted(key, { id: write.id, slot: write.slot }, time.clock());
      onStale(write.kind === "put" ? write.record.slot : write.slot);
    } else {
      const [relay] = ledger.get(key)?.relays ?? [];
      if (relay !== undefined) loop.run((turn, now) => turn.terminate(relay, now));
    }
  }
}
