import { USAGE_LOST, type UsageCounters, type UsageEvent } from "./event.ts";

/** What one allocation has used, as far as its events tell. */
export interface UsageTotal extends UsageCounters {
  readonly allocation: string;
  readonly tenant: string;
  readonly user: string;
  readonly kid?: string;
  readonly startedAt: number;
  /** The time of the last event. */
  readonly lastAt: number;
  /** The relay of the last event. */
  readonly relay: string;
  /** Why it ended; absent while it lives, as far as is known. */
  readonly stopped?: string;
}

/**
 * Rebuilds totals from events that may come twice and in any order: the result is the same. An event can only add to what is
 * known, also where a relay died and its successor had to begin with counters that were some seconds old.
 */
export class UsageTotals {
  readonly #totals = new Map<string, { total: UsageTotal; sequence: number }>();

  /** Whether the event said anything new. */
  add(event: UsageEvent): boolean {
    const known = this.#totals.get(event.allocation);
    const isLatest = known === undefined || event.sequence > known.sequence;
    const merged = merge(known?.total, event, isLatest);
    const changed =
      known === undefined || isLatest || !sameCounters(known.total, merged) || known.total.stopped !== merged.stopped;
    this.#totals.set(event.allocation, { total: merged, sequence: isLatest ? event.sequence : known.sequence });
    return changed;
  }

  get(allocation: string): UsageTotal | undefined {
    return this.#totals.get(allocation)?.total;
  }

  /** Lets go of an allocation, once it is accounted for. */
  delete(allocation: string): void {
    this.#totals.delete(allocation);
  }

  *[Symbol.iterator](): IterableIterator<UsageTotal> {
    for (const { total } of this.#totals.values()) yield total;
  }

  /** The sums of a tenant, or of one of its users. */
  sum(tenant: string, user?: string): UsageCounters & { readonly allocations: number } {
    const sum = { allocations: 0, packetsToPeers: 0, bytesToPeers: 0, packetsToClient: 0, bytesToClient: 0 };
    for (const total of this) {
      if (total.tenant !== tenant || (user !== undefined && total.user !== user)) continue;
      sum.allocations += 1;
      for (const name of COUNTERS) sum[name] += total[name];
    }
    return sum;
  }
}

const COUNTERS = ["packetsToPeers", "bytesToPeers", "packetsToClient", "bytesToClient"] as const;

function sameCounters(a: UsageCounters, b: UsageCounters): boolean {
  return COUNTERS.every((name) => a[name] === b[name]);
}

function stoppedBy(known: UsageTotal | undefined, { kind, reason }: UsageEvent, isLatest: boolean): string | undefined {
  const before = known?.stopped;
  if (kind !== "stop") return before === USAGE_LOST && isLatest ? undefined : before;
  return reason === USAGE_LOST && !isLatest ? before : (reason ?? "unknown");
}

function merge(known: UsageTotal | undefined, event: UsageEvent, isLatest: boolean): UsageTotal {
  const most = (name: (typeof COUNTERS)[number]): number => Math.max(known?.[name] ?? 0, event[name]);
  const { allocation, tenant, user, kid, startedAt } = event;
  const stopped = stoppedBy(known, event, isLatest);
  return {
    ...{ allocation, tenant, user, startedAt },
    ...(kid === undefined ? {} : { kid }),
    packetsToPeers: most("packetsToPeers"),
    bytesToPeers: most("bytesToPeers"),
    packetsToClient: most("packetsToClient"),
    bytesToClient: most("bytesToClient"),
    lastAt: Math.max(known?.lastAt ?? 0, event.at),
    relay: known === undefined || isLatest ? event.relay : known.relay,
    ...(stopped === undefined ? {} : { stopped }),
  };
}
