import { USAGE_VERSION, type UsageCounters, type UsageEvent, type UsageKind, type UsageSubject } from "./event.ts";
import type { UsageLog } from "./port.ts";

export interface UsageMeterOptions {
  readonly log: Pick<UsageLog, "append">;
  /** Identity of this relay. */
  readonly relay: string;
  /** Milliseconds between two interims of one allocation. */
  readonly intervalMs: number;
  /** The totals of an allocation, those from before a restart included; undefined when it has no counters any more. */
  readonly read: (allocation: string) => UsageCounters | undefined;
}

interface Metered {
  readonly subject: UsageSubject;
  sequence: number;
  dueAt: number;
  counters: UsageCounters;
}

const NOTHING: UsageCounters = { packetsToPeers: 0, bytesToPeers: 0, packetsToClient: 0, bytesToClient: 0 };

/** Makes the usage events of a relay's allocations. The caller passes the time in: the fleet's, in milliseconds. */
export class UsageMeter {
  readonly #options: UsageMeterOptions;
  /** In the order of {@link Metered.dueAt}. */
  readonly #metered = new Map<string, Metered>();

  constructor(options: UsageMeterOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#metered.size;
  }

  /** An allocation began. */
  started(subject: UsageSubject, now: number): void {
    this.#add(subject, now);
    this.#append(subject.allocation, "start", now);
  }

  /**
   * An allocation goes on that another process began: this relay before its restart, or another one. An interim tells at once
   * who measures it now.
   */
  resumed(subject: UsageSubject, now: number): void {
    this.#add(subject, now);
    this.#append(subject.allocation, "interim", now);
  }

  /** An allocation ended. Call it while its counters can be read, or pass them. */
  stopped(allocation: string, reason: string, now: number, counters?: UsageCounters): void {
    this.#append(allocation, "stop", now, { reason, ...(counters === undefined ? {} : { counters }) });
    this.#metered.delete(allocation);
  }

  /** An allocation ended that this relay has not metered, and nobody else does. Relays that tell the same make one event. */
  lost(subject: UsageSubject, reason: string, at: number, counters: UsageCounters): void {
    this.#add(subject, at);
    this.stopped(subject.allocation, reason, at, counters);
  }

  /** Another relay goes on with the allocation: no stop. A last interim tells what was used until here. */
  released(allocation: string, now: number): void {
    this.#append(allocation, "interim", now);
    this.#metered.delete(allocation);
  }

  /** Tells what is due. Returns when it is to be called next; undefined: not before something is added. */
  tick(now: number): number | undefined {
    for (const [allocation, { dueAt }] of this.#metered) {
      if (dueAt > now) return dueAt;
      this.#append(allocation, "interim", now);
    }
    return undefined;
  }

  #add(subject: UsageSubject, now: number): void {
    const dueAt = now + this.#options.intervalMs;
    this.#metered.delete(subject.allocation);
    this.#metered.set(subject.allocation, { subject, sequence: -1, dueAt, counters: NOTHING });
  }

  #append(
    allocation: string,
    kind: UsageKind,
    now: number,
    end: { reason?: string; counters?: UsageCounters } = {},
  ): void {
    const metered = this.#metered.get(allocation);
    if (metered === undefined) return;
    const { relay, intervalMs, read, log } = this.#options;
    const { subject } = metered;
    // Milliseconds of its life: a relay that knows nothing of the events before makes a greater one all the same.
    metered.sequence = Math.max(metered.sequence + 1, kind === "start" ? 0 : Math.floor(now - subject.startedAt));
    metered.counters = end.counters ?? read(allocation) ?? metered.counters;
    metered.dueAt = now + intervalMs;
    this.#metered.delete(allocation);
    this.#metered.set(allocation, metered);
    const { packetsToPeers, bytesToPeers, packetsToClient, bytesToClient } = metered.counters;
    const event: UsageEvent = {
      v: USAGE_VERSION,
      kind,
      sequence: metered.sequence,
      at: Math.floor(now),
      relay,
      allocation,
      tenant: subject.tenant,
      user: subject.user,
      ...(subject.kid === undefined ? {} : { kid: subject.kid }),
      startedAt: Math.floor(subject.startedAt),
      ...{ packetsToPeers, bytesToPeers, packetsToClient, bytesToClient },
      ...(end.reason === undefined ? {} : { reason: end.reason }),
    };
    log.append(event);
  }
}
