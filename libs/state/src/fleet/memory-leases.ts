import type {
  AcquireResult,
  AcquireRule,
  FleetTime,
  Lease,
  LeaseClaim,
  PreviousOwner,
  RelayEntry,
  Renewal,
  RenewResult,
  SlotState,
} from "./port.ts";
import { SLOT_MEMORY_MS } from "./rules.ts";

interface Slot extends LeaseClaim {
  readonly epoch: number;
  readonly until: FleetTime;
  readonly ttlMs: number;
  readonly released?: { readonly to: string; readonly othersFrom: FleetTime };
}

/** What is known of the continuity of the data. */
interface Era {
  /** Of this generation of the data. */
  readonly name: string;
  /** When the data began: they were emptied before, or failed over. */
  readonly born: FleetTime;
  /** Since when relays have been heard without a gap. */
  readonly since: FleetTime;
  readonly seen: FleetTime;
}

/** Leases and the registry of relays. */
export class MemoryLeases {
  readonly #now: () => FleetTime;
  #era: Era | undefined;
  readonly #slots = new Map<string, Slot>();
  readonly #relays = new Map<string, { readonly entry: RelayEntry; readonly until: FleetTime }>();

  constructor(now: () => FleetTime) {
    this.#now = now;
  }

  flush(): void {
    this.#slots.clear();
    this.#relays.clear();
    this.#era = undefined;
  }

  /** The data are there, but the last of them may not be. */
  failOver(): void {
    this.#era = undefined;
  }

  acquire(claim: LeaseClaim, rule: AcquireRule, ttlMs: number): AcquireResult {
    const now = this.#now();
    const era = this.#look(now, ttlMs);
    const known = this.#slot(claim.slot, now);
    const free = this.#freeAt(claim, rule, ttlMs, era, known);
    if (free > now) {
      return { ok: false, ...(known === undefined ? {} : { holder: holderOf(known) }), expiresInMs: free - now };
    }
    const epoch = Math.max((known?.epoch ?? 0) + 1, now);
    this.#slots.set(claim.slot, { ...claim, epoch, until: now + ttlMs, ttlMs });
    return {
      ok: true,
      lease: { slot: claim.slot, epoch },
      ...(known === undefined ? {} : { previous: previousOf(known) }),
    };
  }

  renew(entry: RelayEntry, leases: readonly Renewal[], ttlMs: number): RenewResult {
    const now = this.#now();
    const era = this.#look(now, ttlMs);
    const lost: string[] = [];
    const reasserted: string[] = [];
    for (const { slot, epoch, lapsed } of leases) {
      const known = this.#slot(slot, now);
      const own = known?.epoch === epoch && known.instance === entry.instance && known.released === undefined;
      const gone = known === undefined || known.epoch < epoch;
      if (!own && (!gone || lapsed === true)) {
        lost.push(slot);
        continue;
      }
      if (!own) reasserted.push(slot);
      const { identity, instance, host } = entry;
      this.#slots.set(slot, { slot, identity, instance, host, epoch, until: now + ttlMs, ttlMs });
    }
    const registered = this.#relays.get(entry.identity);
    const newer =
      registered !== undefined && registered.until > now && registered.entry.startedAt > entry.startedAt
        ? registered
        : undefined;
    if (newer === undefined) this.#relays.set(entry.identity, { entry, until: now + ttlMs });
    return { now, lost, reasserted, generation: era.name };
  }

  release({ slot, epoch }: Lease, instance: string, to: string | undefined): void {
    const now = this.#now();
    const known = this.#slot(slot, now);
    if (known?.epoch !== epoch || known.instance !== instance || known.released !== undefined) return;
    const othersFrom = to === undefined ? now : known.until;
    this.#slots.set(slot, { ...known, until: Math.min(known.until, now), released: { to: to ?? "", othersFrom } });
  }

  slots(): SlotState[] {
    const now = this.#now();
    return [...this.#slots.keys()]
      .sort()
      .flatMap((name) => this.#slot(name, now) ?? [])
      .map(({ until, ttlMs: _, released, ...slot }) => ({
        ...slot,
        expiresInMs: until - now,
        ...(released === undefined ? {} : { releasedTo: released.to }),
      }));
  }

  relays(): RelayEntry[] {
    const now = this.#now();
    return [...this.#relays.values()]
      .filter(({ until }) => until > now)
      .map(({ entry }) => entry)
      .sort((a, b) => (a.identity < b.identity ? -1 : 1));
  }

  unregister(identity: string, instance: string): void {
    if (this.#relays.get(identity)?.entry.instance === instance) this.#relays.delete(identity);
  }

  /** Whether writes with the epoch are the owner's. */
  guard(slot: string, epoch: number): "own" | "stale" | "unleased" {
    const known = this.#slot(slot, this.#now());
    if (known === undefined || known.epoch < epoch) return "unleased";
    return known.epoch === epoch && known.released === undefined ? "own" : "stale";
  }

  owner(slot: string): LeaseClaim | undefined {
    return this.#slot(slot, this.#now());
  }

  /** Whether the owner of the slot has ceased to relay, for all the store can know. */
  ended(slot: string): boolean {
    const now = this.#now();
    const known = this.#slot(slot, now);
    return known !== undefined && this.#expiresAt(known, 0, this.#look(now, known.ttlMs)) <= now;
  }

  #expiresAt(known: Slot | undefined, ttlMs: number, era: Era): FleetTime {
    const until = known?.released?.othersFrom ?? known?.until ?? 0;
    return Math.max(until, era.since + Math.max(ttlMs, known?.ttlMs ?? 0));
  }

  #freeAt(claim: LeaseClaim, rule: AcquireRule, ttlMs: number, era: Era, known: Slot | undefined): FleetTime {
    const sameHost = rule === "same-identity" && known?.identity === claim.identity && known.host === claim.host;
    const handedOver = known?.released?.to === "" || known?.released?.to === claim.identity;
    if (sameHost || handedOver) return era.born + Math.max(ttlMs, known?.ttlMs ?? 0);
    return this.#expiresAt(known, ttlMs, era);
  }

  #look(now: FleetTime, ttlMs: number): Era {
    const known = this.#era ?? { name: String(now), born: now, since: now, seen: now };
    const gap = Math.abs(now - known.seen) > ttlMs / 2;
    const era = {
      name: known.name,
      born: Math.min(known.born, now),
      since: gap ? now : Math.min(known.since, now),
      seen: now,
    };
    this.#era = era;
    return era;
  }

  /** A slot whose lease ends later than a lease can last was written before the clock was set back. */
  #slot(name: string, now: FleetTime): Slot | undefined {
    const known = this.#slots.get(name);
    if (known === undefined) return undefined;
    if (known.until + SLOT_MEMORY_MS <= now) {
      this.#slots.delete(name);
      return undefined;
    }
    const latest = now + known.ttlMs;
    if (known.until <= latest && (known.released?.othersFrom ?? 0) <= latest) return known;
    const clamped: Slot = {
      ...known,
      until: Math.min(known.until, latest),
      ...(known.released === undefined ? {} : { released: { ...known.released, othersFrom: latest } }),
    };
    this.#slots.set(name, clamped);
    return clamped;
  }
}

function previousOf({ identity, instance, released }: Slot): PreviousOwner {
  return { identity, instance, released: released !== undefined };
}

function holderOf({ identity, instance, host, epoch }: Slot): Omit<LeaseClaim, "slot"> & { readonly epoch: number } {
  return { identity, instance, host, epoch };
}
