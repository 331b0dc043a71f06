import { type UsageLog, UsageMeter } from "@culvert/events";
import type { AllocationRecord } from "@culvert/state";
import type { TurnEvent } from "@culvert/turn";
import type { FleetTime } from "./fleet-time.ts";
import type { Ledger, LedgerEntry } from "./ledger.ts";
import { Timer } from "./timer.ts";

const FLUSH_MS = 2_000;

export interface UsageOptions {
  readonly log: UsageLog;
  readonly identity: string;
  readonly intervalMs: number;
  readonly ledger: Ledger;
  readonly time: FleetTime;
}

/** Tells the usage log what allocations begin, carry and end. */
export class Usage {
  readonly #options: UsageOptions;
  readonly #meter: UsageMeter;
  readonly #timer: Timer;

  constructor(options: UsageOptions) {
    const { log, identity: relay, intervalMs, ledger, time } = options;
    this.#options = options;
    const read = (record: string) => {
      const entry = ledger.find(record);
      return entry === undefined ? undefined : ledger.counters(entry);
    };
    this.#meter = new UsageMeter({ log, relay, intervalMs, read });
    this.#timer = new Timer(time.clock, () => this.#tick());
  }

  began(entry: LedgerEntry, how: "started" | "resumed"): void {
    const { time } = this.#options;
    const { tenant, user, kid, createdAt } = entry.info;
    const startedAt = createdAt + time.offset;
    const subject = { allocation: entry.record, tenant, user, startedAt, ...(kid === undefined ? {} : { kid }) };
    this.#meter[how](subject, time.now());
    this.#tick();
  }

  /** Call it while the counters can be read. */
  ended(record: string, reason: (TurnEvent & { readonly name: "allocation-deleted" })["reason"]): void {
    const now = this.#options.time.now();
    if (reason === "fenced" || reason === "handed-over") this.#meter.released(record, now);
    else this.#meter.stopped(record, reason, now);
  }

  /** An allocation that lives nowhere ended. */
  lost({ id, tenant, user, kid, createdAt, counters }: AllocationRecord, reason: string, at: number): void {
    const subject = { allocation: id, tenant, user, startedAt: createdAt, ...(kid === undefined ? {} : { kid }) };
    this.#meter.lost(subject, reason, at, counters);
  }

  /** Tells for all that lives what it carried until here: the process ends, they go on elsewhere. */
  async stop(): Promise<void> {
    this.#timer.stop();
    for (const { record } of this.#options.ledger) this.#meter.released(record, this.#options.time.now());
    await this.#options.log.flush(FLUSH_MS);
  }

  #tick(): void {
    const { time } = this.#options;
    const next = this.#meter.tick(time.now());
    this.#timer.set(next === undefined ? undefined : next - time.offset);
  }
}
