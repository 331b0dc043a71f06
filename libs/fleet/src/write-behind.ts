import type { Millis } from "./types.ts";

export interface WriteBehindLimits {
  /** How long a change waits for others of the same allocation, and for company. */
  readonly delayMs: number;
  /** Changes in one batch. */
  readonly batch: number;
  /** From one attempt to the next while the store does not answer: doubles up to `maxRetryMs`. */
  readonly retryMs: number;
  readonly maxRetryMs: number;
  /** Deletions that wait. Beyond, the oldest is left to the record's own expiry. */
  readonly deletions: number;
}

export const WRITE_BEHIND_LIMITS: WriteBehindLimits = {
  delayMs: 50,
  batch: 256,
  retryMs: 250,
  maxRetryMs: 2_000,
  deletions: 50_000,
};

/** What is to be written for one allocation now: the state that it has at that moment, or that it is gone. */
export type Change<Gone> =
  | { readonly kind: "put"; readonly key: number }
  | { readonly kind: "delete"; readonly key: number; readonly gone: Gone };

/**
 * The queue between the allocations and the store: what happened to one allocation while it waits is one write. Bounded by
 * the number of allocations, and of deletions while the store is away. One batch is under way at a time.
 */
export class WriteBehind<Gone> {
  readonly #limits: WriteBehindLimits;
  readonly #changed = new Map<number, Millis>();
  readonly #gone = new Map<number, Gone>();
  #flight: readonly Change<Gone>[] | undefined;
  #notBefore: Millis = Number.NEGATIVE_INFINITY;
  #oldestDeletion: Millis = Number.POSITIVE_INFINITY;
  #failures = 0;
  #dropped = 0;

  constructor(limits: WriteBehindLimits = WRITE_BEHIND_LIMITS) {
    this.#limits = limits;
  }

  /** Writes that wait or are under way. */
  get size(): number {
    return this.#changed.size + this.#gone.size + (this.#flight?.length ?? 0);
  }

  /** Deletions that were left out for want of room. */
  get dropped(): number {
    return this.#dropped;
  }

  changed(key: number, now: Millis): void {
    if (!this.#changed.has(key)) this.#changed.set(key, now);
  }

  /** @param gone what the deletion needs, now that the allocation is not there to be asked */
  deleted(key: number, gone: Gone, now: Millis): void {
    this.#changed.delete(key);
    if (this.#gone.size >= this.#limits.deletions) {
      const [oldest] = this.#gone.keys();
      if (oldest !== undefined) this.#gone.delete(oldest);
      this.#dropped++;
    }
    this.#gone.set(key, gone);
    this.#oldestDeletion = Math.min(this.#oldestDeletion, now);
  }

  /** Nothing is to be written of it any more: another relay owns it. */
  forget(key: number): void {
    this.#changed.delete(key);
    this.#gone.delete(key);
  }

  /** When `take` has a batch; undefined: not before something happens. */
  due(): Millis | undefined {
    if (this.#flight !== undefined || this.#changed.size + this.#gone.size === 0) return undefined;
    const [first = Number.POSITIVE_INFINITY] = this.#changed.values();
    return Math.max(Math.min(first, this.#oldestDeletion) + this.#limits.delayMs, this.#notBefore);
  }

  /** A batch to write, deletions first. Empty: nothing is due, or a batch is under way. */
  take(now: Millis, { hurry = false }: { readonly hurry?: boolean } = {}): readonly Change<Gone>[] {
    const due = this.due();
    if (due === undefined || (now < due && !hurry)) return [];
    const changes: Change<Gone>[] = [];
    for (const [key, gone] of this.#gone) {
      if (changes.length >= this.#limits.batch) break;
      changes.push({ kind: "delete", key, gone });
      this.#gone.delete(key);
    }
    if (this.#gone.size === 0) this.#oldestDeletion = Number.POSITIVE_INFINITY;
    for (const key of this.#changed.keys()) {
      if (changes.length >= this.#limits.batch) break;
      changes.push({ kind: "put", key });
      this.#changed.delete(key);
    }
    this.#flight = changes;
    return changes;
  }

  /** The batch was written, whatever became of its parts. */
  written(): void {
    this.#flight = undefined;
    this.#failures = 0;
    this.#notBefore = Number.NEGATIVE_INFINITY;
  }

  /** The store did not answer: all of it is to be written later, and what has changed meanwhile with it. */
  failed(now: Millis): void {
    const { retryMs, maxRetryMs } = this.#limits;
    for (const change of this.#flight ?? []) {
      if (change.kind === "delete") this.deleted(change.key, change.gone, now);
      else if (!this.#gone.has(change.key)) this.changed(change.key, now);
    }
    this.#flight = undefined;
    this.#notBefore = now + Math.min(retryMs * 2 ** this.#failures, maxRetryMs);
    this.#failures = Math.min(this.#failures + 1, 16);
  }

  /** The store is back. */
  hurry(): void {
    this.#notBefore = Number.NEGATIVE_INFINITY;
    this.#failures = 0;
  }
}
