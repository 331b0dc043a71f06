import { setTimeout as sleep, setImmediate as turnOfOthers } from "node:timers/promises";
import type { LeaseNumber } from "@culvert/fleet";
import type { AllocationRecord, FleetStore } from "@culvert/state";
import type { Logger } from "@culvert/telemetry";
import type { RestoreFailure } from "@culvert/turn";
import type { ControlLoop } from "../control-loop.ts";
import type { FleetTime } from "./fleet-time.ts";
import type { FleetListener, Frontends } from "./frontends.ts";
import { snapshotOf } from "./records.ts";
import type { SlotTable } from "./slot-table.ts";

const RETRY_MS = 250;
/** Slots that are restored at once: while one waits for the store, or for a listener, another one goes on. */
const LANES = 2;
/** Records between two turns for all else, such as the renewal of leases: some tens of milliseconds' work. */
const CHUNK = 256;

export interface RestorerOptions {
  readonly store: FleetStore;
  readonly loop: Pick<ControlLoop, "run">;
  readonly slots: SlotTable;
  readonly frontends: Frontends;
  readonly time: FleetTime;
  readonly logger: Logger;
  /** Opens a listener for clients of another relay whose address is on this host now; undefined: it is not. */
  readonly openListener: (record: AllocationRecord) => Promise<FleetListener | undefined>;
  /** All records of the slot were read. */
  readonly onRead: (slot: string) => void;
  /** The allocation is over: its credential is good no more. */
  readonly onOver: (record: AllocationRecord) => void;
  /** It could not be restored, or not yet; its record stays. */
  readonly onFailed: (record: AllocationRecord) => void;
}

export interface RestoreCounters {
  restored: number;
  readonly failed: Map<RestoreFailure, number>;
  /** Of the last slot, from its records' first byte to its last allocation's start. */
  seconds: number;
}

interface Found {
  readonly record: AllocationRecord;
  readonly abrupt: boolean;
}

/** Carries on with what lives in the slots that this relay takes. */
export class Restorer {
  readonly counters: RestoreCounters = { restored: 0, failed: new Map(), seconds: 0 };
  readonly #options: RestorerOptions;
  /** Records by id, while they are being restored: what to do about those that fail. */
  readonly #underWay = new Map<string, AllocationRecord>();
  /** Records of a dual-stack allocation whose other slot is not held yet. */
  readonly #waiting = new Map<string, Found>();
  readonly #lanes: Promise<void>[] = Array.from({ length: LANES }, () => Promise.resolve());
  #nextLane = 0;
  #stopped = false;

  constructor(options: RestorerOptions) {
    this.#options = options;
  }

  /**
   * Reads the slot's records, and asks again where the store does not answer, as long as the slot is held.
   *
   * @param abrupt whether the owner before ended without a word
   */
  restore(slot: string, lease: LeaseNumber, abrupt: boolean): Promise<void> {
    const lane = this.#nextLane++ % LANES;
    const restored = this.#lanes[lane]?.then(() => this.#restore(slot, lease, abrupt)) ?? Promise.resolve();
    this.#lanes[lane] = restored;
    return restored;
  }

  restored(record: string): void {
    this.counters.restored++;
    this.#underWay.delete(record);
  }

  failed(id: string, reason: RestoreFailure): void {
    const { onOver, onFailed } = this.#options;
    this.counters.failed.set(reason, (this.counters.failed.get(reason) ?? 0) + 1);
    const record = this.#underWay.get(id);
    this.#underWay.delete(id);
    if (record === undefined) return;
    if (reason === "revoked") onOver(record);
    else onFailed(record);
  }

  stop(): void {
    this.#stopped = true;
  }

  async #restore(slot: string, lease: LeaseNumber, abrupt: boolean): Promise<void> {
    const { store, slots, logger, onRead } = this.#options;
    const began = performance.now();
    const holds = (): boolean => !this.#stopped && slots.leaseOf(slot) === lease;
    const sought = new Set<string>();
    while (holds()) {
      try {
        let read = 0;
        for await (const page of store.recordsOf(slot)) {
          for (let from = 0; from < page.length; from += CHUNK) {
            const chunk = page.slice(from, from + CHUNK);
            await this.#openListeners(chunk, sought);
            await turnOfOthers();
            if (!holds()) return;
            read += chunk.length;
            this.#startAll(chunk.map((record) => ({ record, abrupt })));
          }
        }
        this.#startAll([...this.#waiting.values()]);
        this.counters.seconds = (performance.now() - began) / 1000;
        if (read > 0) logger.info({ slot, records: read, seconds: this.counters.seconds }, "slot restored");
        onRead(slot);
        return;
      } catch (error) {
        logger.warn({ err: error, slot }, "records not read; tried again");
        await sleep(RETRY_MS);
      }
    }
  }

  /** @param sought listeners that were asked for already, which takes its time where they are not to be had */
  async #openListeners(records: readonly AllocationRecord[], sought: Set<string>): Promise<void> {
    const { frontends, openListener } = this.#options;
    for (const record of records) {
      const { transport, frontend, listener } = record;
      const name = `${transport} ${frontend} ${listener.ip} ${listener.port}`;
      if (sought.has(name)) continue;
      sought.add(name);
      if (frontends.find(transport, frontend, listener) === undefined) await openListener(record);
    }
  }

  #startAll(all: readonly Found[]): void {
    const { frontends, loop, slots, time } = this.#options;
    loop.run((turn, now) => {
      for (const found of all) {
        const { record, abrupt } = found;
        if (turn.find(record.id) !== undefined || this.#underWay.has(record.id)) continue;
        if (!record.slots.every((slot) => slots.has(slot))) {
          this.#waiting.set(record.id, found);
          this.#options.onFailed(record);
          continue;
        }
        this.#waiting.delete(record.id);
        this.#underWay.set(record.id, record);
        const snapshot = snapshotOf(record, { frontends, offset: time.offset });
        if (snapshot === undefined) {
          this.failed(record.id, "unknown-listener");
          continue;
        }
        turn.restore(snapshot, now, { abrupt });
      }
    });
  }
}
