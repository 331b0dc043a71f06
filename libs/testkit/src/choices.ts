/** Turns bytes into decisions, so that a fuzzer or a property test can drive a state machine. */
export class Choices {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** No bytes are left: from here on every decision is the first one. */
  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  byte(): number {
    return this.#bytes[this.#at++] ?? 0;
  }

  bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.byte());
  }

  /** 0 to `bound - 1`, `bound` being 256 at most. */
  int(bound: number): number {
    return this.byte() % bound;
  }

  chance(oneIn: number): boolean {
    return this.int(oneIn) === oneIn - 1;
  }

  pick<T>(items: readonly [T, ...T[]]): T {
    return items[this.int(items.length)] ?? items[0];
  }
}
