import type { Millis } from "@culvert/turn";

/**
 * A token bucket that holds one second's worth of bytes. It lends: what is asked for while anything is left passes and is
 * paid back first, so that a datagram larger than the bucket passes too and the rate still holds.
 */
export class TokenBucket {
  #rate: number;
  #tokens: number;
  #at: Millis;

  constructor(bytesPerSecond: number, now: Millis) {
    this.#rate = bytesPerSecond;
    this.#tokens = bytesPerSecond;
    this.#at = now;
  }

  /** Changes the rate and keeps what is spent as spent. */
  setRate(bytesPerSecond: number): void {
    this.#rate = bytesPerSecond;
    this.#tokens = Math.min(this.#tokens, bytesPerSecond);
  }

  take(bytes: number, now: Millis): boolean {
    if (now > this.#at) {
      this.#tokens = Math.min(this.#rate, this.#tokens + ((now - this.#at) * this.#rate) / 1000);
      this.#at = now;
    }
    if (this.#tokens <= 0) return false;
    this.#tokens -= bytes;
    return true;
  }
}
