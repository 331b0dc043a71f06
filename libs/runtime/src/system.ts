import { randomFillSync } from "node:crypto";

/** Milliseconds since the Unix epoch as it was at the start of the process; later steps of the wall clock do not reach it. */
export const monotonicClock: () => number = () => performance.timeOrigin + performance.now();

/** Source of random bytes: a CSPRNG, or a seeded generator in tests. */
export interface RandomSource {
  bytes(count: number): Uint8Array;
}

/** Bytes that are drawn at a time: a call of the CSPRNG costs more than the few bytes that are mostly asked for. */
const POOL = 4096;
const pool = new Uint8Array(POOL);
let next = POOL;

/** The CSPRNG of the system. */
export const systemRandom: RandomSource = {
  bytes(count) {
    if (count > POOL / 4) return randomFillSync(new Uint8Array(count));
    if (next + count > POOL) {
      randomFillSync(pool);
      next = 0;
    }
    const bytes = pool.slice(next, next + count);
    // Nobody is to find in memory what was handed out.
    pool.fill(0, next, next + count);
    next += count;
    return bytes;
  },
};
