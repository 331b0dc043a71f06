/** Costs are fractions, and sums of fractions are not exact. */
const ROUNDING = 1e-6;

/** What a bucket says to one more message. */
export type Admission = "ok" | "limited" | "flood";

/**
 * A token bucket that remembers debt: who goes on sending while refused owes, and owing a whole burst is a flood.
 */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #burst: number;
  #tokens: number;
  #at: number;

  constructor(perSecond: number, burst: number, now: number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#tokens = burst;
    this.#at = now;
  }

  take(cost: number, now: number): Admission {
    const elapsed = Math.max(0, now - this.#at);
    this.#tokens = Math.min(this.#burst, this.#tokens + (elapsed * this.#perSecond) / 1000);
    this.#at = now;
    this.#tokens -= cost;
    if (this.#tokens > -ROUNDING) return "ok";
    return this.#tokens < -this.#burst ? "flood" : "limited";
  }
}
