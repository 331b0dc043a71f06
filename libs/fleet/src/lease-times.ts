/** What follows from the time that a lease lives. All in milliseconds. */
export interface LeaseTimes {
  /** From the moment a renewal is sent until the store lets others take the slot, at the earliest. */
  readonly ttl: number;
  /** From one renewal to the next. */
  readonly interval: number;
  /** How long a renewal may take before it counts as failed. */
  readonly timeout: number;
  /** The owner stops this much before the store lets the lease end, for clocks that run at different rates. */
  readonly margin: number;
  /** From one heartbeat to the next. */
  readonly heartbeat: number;
  /** How old a heartbeat may be that still says how things are; and how far a lease is extended by consent at a time. */
  readonly step: number;
  /** How long an owner goes on by consent at most. */
  readonly outage: number;
}

/**
 * Every fraction is bound to the others by the proof in ADR 0011: two steps and a time-out are less than a ttl, and a
 * relay that loses the store says so (interval + timeout + heartbeat) before another one's lease lapses (ttl - interval).
 */
export function leaseTimes(ttlMs: number, outageMs: number): LeaseTimes {
  return {
    ttl: ttlMs,
    interval: ttlMs / 4,
    timeout: ttlMs / 4,
    margin: ttlMs / 20,
    heartbeat: Math.min(500, ttlMs / 8),
    step: ttlMs / 3,
    outage: outageMs,
  };
}
