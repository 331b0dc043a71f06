import { USAGE_LOST } from "@culvert/events";
import type { AllocationRecord, FleetStore, RelayEntry } from "@culvert/state";
import type { Logger } from "@culvert/telemetry";
import type { FleetTime } from "./fleet-time.ts";
import type { Usage } from "./usage.ts";

/** Milliseconds between two looks. Records stay for a minute after their allocation's end. */
const LOOK_MS = 20_000;
/** How long it is remembered what was told, in ms: longer than records stay. */
const REMEMBER_MS = 120_000;

export interface LostUsageOptions {
  readonly store: FleetStore;
  readonly usage: Usage;
  readonly identity: string;
  readonly time: FleetTime;
  readonly logger: Logger;
  readonly intervalMs: number;
  /** The relays that live, this one too. */
  readonly relays: () => readonly RelayEntry[];
  readonly holds: (slot: string) => boolean;
  /** Whether the allocation lives here. */
  readonly lives: (record: string) => boolean;
}

/**
 * Tells the usage log of allocations that ended with nobody there: those that this relay could not restore, and those of
 * slots that have no owner, once their lifetime is over. Of the relays that live the first by name looks for the latter; when
 * two do they tell the same, and the log keeps it once.
 */
export class LostUsage {
  readonly #options: LostUsageOptions;
  /** Of own slots, not restored. */
  readonly #failed = new Map<string, AllocationRecord>();
  /** When the first record of a slot without an owner ends, by slot and epoch. */
  #looks: ReadonlyMap<string, number> = new Map();
  /** What was told, and when. */
  readonly #told = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #looking = false;

  constructor(options: LostUsageOptions) {
    this.#options = options;
  }

  follow(): void {
    this.#timer = setInterval(() => void this.look(), Math.min(LOOK_MS, this.#options.intervalMs / 3)).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** It could not be restored. Perhaps it can be, another time: until it runs out it is not lost. */
  failed(record: AllocationRecord): void {
    this.#failed.set(record.id, record);
  }

  /** It ends now, by a decision that others have to hear of. */
  over(record: AllocationRecord, reason: string): void {
    this.#tell(record, reason, this.#options.time.now());
  }

  async look(): Promise<void> {
    const { time, holds, lives } = this.#options;
    const now = time.now();
    for (const [id, at] of this.#told) if (at + REMEMBER_MS < now) this.#told.delete(id);
    for (const [id, record] of this.#failed) {
      const isElsewhere = !holds(record.slot) || lives(id);
      if (!isElsewhere && endOf(record) > now) continue;
      this.#failed.delete(id);
      if (!isElsewhere) this.#tell(record, USAGE_LOST, endOf(record));
    }
    if (this.#looking || !this.#isFirst()) return;
    this.#looking = true;
    await this.#lookAtOrphans().catch((error: unknown) => {
      this.#options.logger.debug({ err: error }, "did not see whether allocations are lost");
    });
    this.#looking = false;
  }

  async #lookAtOrphans(): Promise<void> {
    const { store, time } = this.#options;
    const looks = new Map<string, number>();
    for (const { slot, epoch, expiresInMs } of await store.slots()) {
      if (expiresInMs > 0) continue;
      const key = `${slot} ${epoch}`;
      const due = this.#looks.get(key) ?? 0;
      // Without an owner nothing of a slot is prolonged.
      looks.set(key, due > time.now() ? due : await this.#lookAt(slot));
    }
    this.#looks = looks;
  }

  /** @returns when the first of those that are left ends */
  async #lookAt(slot: string): Promise<number> {
    const { store, time } = this.#options;
    let next = Number.POSITIVE_INFINITY;
    for await (const page of store.recordsOf(slot)) {
      for (const record of page) {
        const end = endOf(record);
        if (end > time.now()) next = Math.min(next, end);
        else this.#tell(record, USAGE_LOST, end);
      }
    }
    return next;
  }

  #isFirst(): boolean {
    const { relays, identity } = this.#options;
    return relays().every((relay) => identity <= relay.identity);
  }

  #tell(record: AllocationRecord, reason: string, at: number): void {
    if (this.#told.has(record.id)) return;
    this.#told.set(record.id, this.#options.time.now());
    this.#options.usage.lost(record, reason, at);
  }
}

function endOf({ relays }: AllocationRecord): number {
  return Math.max(...relays.map(({ expiresAt }) => expiresAt));
}
