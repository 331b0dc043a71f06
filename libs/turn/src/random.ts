/** Source of random bytes: a CSPRNG in production, seeded in tests. */
export interface RandomSource {
  bytes(count: number): Uint8Array;
}

/** A number from 0 to `bound - 1`, each equally likely. `bound` is 1 to 2^32. */
export function uniformInt(random: RandomSource, bound: number): number {
  // Rejecting the incomplete last multiple of `bound` keeps the low numbers from coming up more often.
  const limit = 2 ** 32 - (2 ** 32 % bound);
  for (;;) {
    const [a = 0, b = 0, c = 0, d = 0] = random.bytes(4);
    const value = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
    if (value < limit) return value % bound;
  }
}
