/** A random source that gives the same numbers for the same seed. Not for production. */
export interface SeededRandom {
  bytes(count: number): Uint8Array;
  /** 0 to `bound - 1`. */
  int(bound: number): number;
  /** True with the given probability. */
  chance(probability: number): boolean;
  pick<T>(items: readonly [T, ...T[]]): T;
}

/** sfc32, a small generator that passes the usual statistical tests. */
export function seededRandom(seed: number): SeededRandom {
  let a = 0x9e3779b9;
  let b = seed | 0;
  let c = ~seed;
  let counter = 1;
  const next = (): number => {
    const result = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + result) | 0;
    return result >>> 0;
  };
  for (let round = 0; round < 12; round++) next();
  const int = (bound: number): number => Math.floor((next() / 2 ** 32) * bound);
  return {
    bytes: (count) => Uint8Array.from({ length: count }, () => next() & 0xff),
    int,
    chance: (probability) => next() / 2 ** 32 < probability,
    pick: (items) => items[int(items.length)] ?? items[0],
  };
}
