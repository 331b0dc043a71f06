import { familyOf, parseIp } from "@culvert/stun";
import type { Millis } from "./io.ts";
import type { RandomSource } from "./random.ts";

/** `perSecond` on average, `burst` at once. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/**
 * Takes `amount` from a rate (generic cell rate algorithm). `emptyAt` is the state: the time at which all that was taken
 * is worked off, 0 at first. Returns the new state, or undefined when there is not enough left.
 */
export function take(emptyAt: Millis, rate: Rate, amount: number, now: Millis): Millis | undefined {
  const next = Math.max(emptyAt, now) + (amount * 1000) / rate.perSecond;
  return next - now <= (rate.burst * 1000) / rate.perSecond ? next : undefined;
}

/** The bytes of an address that count as one source: an IPv4 address, or the /64 of an IPv6 address. */
export function sourceOf(ip: string): Uint8Array {
  const bytes = parseIp(ip) ?? new Uint8Array(4);
  return familyOf(ip) === 6 ? bytes.subarray(0, 8) : bytes;
}

const BUCKETS = 65536;

/**
 * Limits what one source (/32 or /64) gets. The memory is fixed, whatever number of sources there are: they share 65,536
 * buckets under a secret hash, so sources that meet in one share its rate.
 */
export class SourceLimiter {
  #rate: Rate;
  readonly #seed: number;
  readonly #emptyAt = new Float64Array(BUCKETS);

  constructor(rate: Rate, random: RandomSource) {
    this.#rate = rate;
    this.#seed = random.bytes(4).reduce((value, byte) => (value << 8) | byte, 0);
  }

  setRate(rate: Rate): void {
    this.#rate = rate;
  }

  /** Whether the source may have one more. */
  allow(ip: string, now: Millis): boolean {
    const bucket = this.#bucketOf(ip);
    const next = take(this.#emptyAt[bucket] ?? 0, this.#rate, 1, now);
    if (next === undefined) return false;
    this.#emptyAt[bucket] = next;
    return true;
  }

  #bucketOf(ip: string): number {
    const source = sourceOf(ip);
    let hash = this.#seed ^ source.length;
    for (const byte of source) hash = Math.imul(hash ^ byte, 0x01000193);
    hash ^= hash >>> 15;
    hash = Math.imul(hash, 0x2c1b3c6d);
    hash ^= hash >>> 13;
    return hash & (BUCKETS - 1);
  }
}
