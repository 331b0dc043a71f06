import { randomBytes } from "node:crypto";

/** Milliseconds since the Unix epoch as it was at the start of the process; later steps of the wall clock do not reach it. */
export const monotonicClock: () => number = () => performance.timeOrigin + performance.now();

/** Source of random bytes: a CSPRNG, or a seeded generator in tests. */
export interface RandomSource {
  bytes(count: number): Uint8Array;
}

/** The CSPRNG of the system. */
export const systemRandom: RandomSource = { bytes: (count) => randomBytes(count) };
