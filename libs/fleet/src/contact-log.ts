import type { Contact, Millis } from "./types.ts";

/** Streaks that are remembered and told: enough for a store that comes and goes. */
const STREAKS = 4;

/** The own contact with the store: streaks of renewals that were answered in time. */
export class ContactLog {
  #past: readonly Contact[] = [];
  #current: Contact | undefined;

  /** Whether the last renewal was answered. */
  get reaches(): boolean {
    return this.#current !== undefined;
  }

  /** Since when the store is reached without a break; undefined when it is not. */
  get since(): Millis | undefined {
    return this.#current?.since;
  }

  /** What a renewal sent at `sent` tells of it. Only a streak that goes on reaches up to that moment. */
  toldAt(sent: Millis): readonly Contact[] {
    return this.#current === undefined ? this.#past : [...this.#past, { since: this.#current.since, until: sent }];
  }

  /** A renewal was answered. */
  reached(sent: Millis, answered: Millis): void {
    this.#current = { since: this.#current?.since ?? answered, until: Math.max(sent, this.#current?.until ?? sent) };
  }

  /** A renewal failed, or the store went away. */
  lost(): void {
    if (this.#current === undefined) return;
    this.#past = [...this.#past, this.#current].slice(1 - STREAKS);
    this.#current = undefined;
  }
}
