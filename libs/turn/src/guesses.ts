import type { Millis } from "./io.ts";
import { type Rate, sourceOf, take } from "./rate-limit.ts";

/** Pairs of source and user name that are remembered; the longest quiet go first. */
const PAIRS = 4096;

/**
 * Slows down who tries passwords. It is not enough to answer seldom: a right guess would be answered all the same. The
 * memory is exact and bounded, so nobody is slowed down by what others do.
 */
export class Guesses {
  #rate: Rate;
  readonly #emptyAt: Map<string, Millis> = new Map();

  constructor(rate: Rate) {
    this.#rate = rate;
  }

  setRate(rate: Rate): void {
    this.#rate = rate;
  }

  /** Whether the source has guessed so often that it has to wait. */
  exhausted(ip: string, username: string, now: Millis): boolean {
    if (this.#emptyAt.size === 0) return false;
    return take(this.#emptyAt.get(pair(ip, username)) ?? 0, this.#rate, 1, now) === undefined;
  }

  /** Notes a wrong password. */
  wrong(ip: string, username: string, now: Millis): void {
    const key = pair(ip, username);
    const next = take(this.#emptyAt.get(key) ?? 0, this.#rate, 1, now);
    if (next === undefined) return;
    this.#emptyAt.delete(key);
    this.#emptyAt.set(key, next);
    if (this.#emptyAt.size <= PAIRS) return;
    const [oldest] = this.#emptyAt.keys();
    if (oldest !== undefined) this.#emptyAt.delete(oldest);
  }
}

function pair(ip: string, username: string): string {
  return `${sourceOf(ip).join()} ${username}`;
}
