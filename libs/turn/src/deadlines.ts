import type { Millis } from "./io.ts";

/** Something that happens at a time, unless it is moved or removed before. */
export interface Deadline {
  readonly at: Millis;
}

class Slot implements Deadline {
  at: Millis;
  readonly fire: (now: Millis) => void;
  /** Position in the heap; -1 when it is not in it. */
  index: number;

  constructor(at: Millis, fire: (now: Millis) => void, index: number) {
    this.at = at;
    this.fire = fire;
    this.index = index;
  }
}

/** All deadlines of a server, the earliest first: a binary heap whose items know their place. */
export class Deadlines {
  readonly #heap: Slot[] = [];

  get size(): number {
    return this.#heap.length;
  }

  add(at: Millis, fire: (now: Millis) => void): Deadline {
    const slot = new Slot(at, fire, this.#heap.length);
    this.#heap.push(slot);
    this.#up(slot);
    return slot;
  }

  /** Moves a deadline; one that has fired or was removed comes back. */
  move(deadline: Deadline, at: Millis): void {
    if (!(deadline instanceof Slot)) return;
    deadline.at = at;
    if (deadline.index < 0) {
      deadline.index = this.#heap.length;
      this.#heap.push(deadline);
    }
    this.#up(deadline);
    this.#down(deadline);
  }

  remove(deadline: Deadline | undefined): void {
    if (!(deadline instanceof Slot) || deadline.index < 0) return;
    const hole = deadline.index;
    deadline.index = -1;
    const last = this.#heap.pop();
    if (last === undefined || last === deadline) return;
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
