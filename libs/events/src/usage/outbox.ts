import type { UsageEvent } from "./event.ts";

/** Events that wait to be stored, at most `limit` of them. */
export class UsageOutbox {
  readonly #limit: number;
  /** Starts and stops. Both in the order of their coming. */
  readonly #marks = new Set<UsageEvent>();
  readonly #interims = new Set<UsageEvent>();
  readonly #taken = new Set<UsageEvent>();
  #dropped = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** All that is not stored, those that are on their way included. */
  get size(): number {
    return this.#marks.size + this.#interims.size + this.#taken.size;
  }

  get taken(): number {
    return this.#taken.size;
  }

  get dropped(): number {
    return this.#dropped;
  }

  add(event: UsageEvent): void {
    this.#queue(event).add(event);
    if (this.size <= this.#limit) return;
    const victim = first(this.#interims) ?? first(this.#marks);
    if (victim === undefined) return;
    this.#queue(victim).delete(victim);
    this.#dropped += 1;
  }

  /** The next event to be stored; it is on its way then. */
  take(): UsageEvent | undefined {
    const event = first(this.#marks) ?? first(this.#interims);
    if (event === undefined) return undefined;
    this.#queue(event).delete(event);
    this.#taken.add(event);
    return event;
  }

  /** It is stored. */
  done(event: UsageEvent): void {
    this.#taken.delete(event);
  }

  /** It is not stored and waits again. */
  putBack(event: UsageEvent): void {
    if (this.#taken.delete(event)) this.#queue(event).add(event);
  }

  #queue(event: UsageEvent): Set<UsageEvent> {
    return event.kind === "interim" ? this.#interims : this.#marks;
  }
}

function first<Item>(items: ReadonlySet<Item>): Item | undefined {
  for (const item of items) return item;
  return undefined;
}
