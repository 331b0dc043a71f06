const WORD = 32;
const WORDS = 64;
/** How far below the highest counter one may be and still be told from one that was taken. */
const REACH = BigInt(WORD * (WORDS - 1));

/** Which counters of one sender were taken already (RFC 6479): the highest, and about two thousand below it. */
export class ReplayWindow {
  readonly #bits: Uint32Array = new Uint32Array(WORDS);
  #highest = -1n;

  /** False for a counter that was taken, or is too far back to tell. */
  isFresh(counter: bigint): boolean {
    if (counter > this.#highest) return true;
    if (this.#highest - counter >= REACH) return false;
    return ((this.#bits[wordOf(counter)] ?? 0) & maskOf(counter)) === 0;
  }

  /** Takes a fresh counter, once its datagram has proven authentic. */
  take(counter: bigint): void {
    if (counter > this.#highest) {
      const from = this.#highest < 0n ? 0n : this.#highest / BigInt(WORD);
      const to = counter / BigInt(WORD);
      if (to - from >= BigInt(WORDS)) this.#bits.fill(0);
      else for (let word = from + 1n; word <= to; word++) this.#bits[Number(word % BigInt(WORDS))] = 0;
      this.#highest = counter;
    }
    const word = wordOf(counter);
    this.#bits[word] = (this.#bits[word] ?? 0) | maskOf(counter);
  }
}

const wordOf = (counter: bigint): number => Number((counter / BigInt(WORD)) % BigInt(WORDS));
const maskOf = (counter: bigint): number => 1 << Number(counter % BigInt(WORD));
