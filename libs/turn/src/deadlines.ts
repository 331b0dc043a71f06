import type { Millis } from "./io.ts";

/** Something that happens at a time, unless it is moved or removed before. */
export interface Deadline {
  readonly at: Millis;
}

interface Slot extends Deadline {
  at: Millis;
  readonly fire: (now: Millis) => void;
  /** Position in the heap; -1 when it is not in it. */
  index: number;
}

/** All deadlines of a server, the earliest first: a binary heap whose items know their place. */
export class Deadlines {
  readonly #heap: Slot[] = [];
  readonly #slots = new WeakMap<Deadline, Slot>();

  get size(): number {
    return this.#heap.length;
  }

  add(at: Millis, fire: (now: Millis) => void): Deadline {
    const slot: Slot = { at, fire, index: this.#heap.length };
    this.#heap.push(slot);
    this.#slots.set(slot, slot);
    this.#up(slot);
    return slot;
  }

  /** Moves a deadline; one that has fired or was removed comes back. */
  move(deadline: Deadline, at: Millis): void {
    const slot = this.#slots.get(deadline);
    if (slot === undefined) return;
    slot.at = at;
    if (slot.index < 0) {
      slot.index = this.#heap.length;
      this.#heap.push(slot);
    }
    this.#up(slot);
    this.#down(slot);
  }

  remove(deadline: Deadline | undefined): void {
    const slot = deadline === undefined ? undefined : this.#slots.get(deadline);
    if (slot === undefined || slot.index < 0) return;
    const hole = slot.index;
    slot.index = -1;
    const last = this.#heap.pop();
    if (last === undefined || last === slot) return;
    this.#place(last, hole);
    this.#up(last);
    this.#down(last);
  }

  /** The earliest. */
  next(): Millis | undefined {
    return this.#heap[0]?.at;
  }

  /** Fires, in their order, all that are due. */
  run(now: Millis): void {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || first.at > now) return;
      this.remove(first);
      first.fire(now);
    }
  }

  #place(slot: Slot, index: number): void {
    this.#heap[index] = slot;
    slot.index = index;
  }

  #up(slot: Slot): void {
    while (slot.index > 0) {
      const hole = slot.index;
      const parentIndex = (hole - 1) >> 1;
      const parent = this.#heap[parentIndex];
      if (parent === undefined || parent.at <= slot.at) return;
      this.#place(parent, hole);
      this.#place(slot, parentIndex);
    }
  }

  #down(slot: Slot): void {
    for (;;) {
      const hole = slot.index;
      const left = this.#heap[2 * hole + 1];
      const right = this.#heap[2 * hole + 2];
      const child = right !== undefined && left !== undefined && right.at < left.at ? right : left;
      if (child === undefined || child.at >= slot.at) return;
      const childIndex = child.index;
      this.#place(child, hole);
      this.#place(slot, childIndex);
    }
  }
}
