interface Deadline {
  readonly key: string;
  readonly at: number;
  readonly run: () => void;
}

/** Deadlines by key, in a binary heap; a deadline that was replaced or cleared stays in the heap until its turn. */
export class Deadlines {
  readonly #live = new Map<string, Deadline>();
  #heap: Deadline[] = [];

  /** Replaces the deadline of the same key. */
  set(key: string, at: number, run: () => void): void {
    const deadline = { key, at, run };
    this.#live.set(key, deadline);
    this.#push(deadline);
  }

  has(key: string): boolean {
    return this.#live.has(key);
  }

  clear(key: string): void {
    this.#live.delete(key);
    if (this.#heap.length > 64 && this.#heap.length > this.#live.size * 4) this.#rebuild();
  }

  next(): number | undefined {
    this.#dropStale();
    return this.#heap[0]?.at;
  }

  /** Runs what is due at `now`, earliest first. */
  run(now: number): void {
    for (;;) {
      this.#dropStale();
      const top = this.#heap[0];
      if (top === undefined || top.at > now) return;
      this.#pop();
      this.#live.delete(top.key);
      top.run();
    }
  }

  #dropStale(): void {
    for (let top = this.#heap[0]; top !== undefined && this.#live.get(top.key) !== top; top = this.#heap[0])
      this.#pop();
  }

  #rebuild(): void {
    // A sorted array is a heap.
    this.#heap = [...this.#live.values()].toSorted((a, b) => a.at - b.at);
  }

  #push(deadline: Deadline): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(deadline);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || parent.at <= deadline.at) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = deadline;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const first = heap[left];
      if (first === undefined) break;
      const second = heap[left + 1];
      const child = second !== undefined && second.at < first.at ? left + 1 : left;
      const least = second !== undefined && second.at < first.at ? second : first;
      if (least.at >= last.at) break;
      heap[at] = least;
      at = child;
    }
    heap[at] = last;
  }
}
