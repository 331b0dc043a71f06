import type { Random } from "./random.ts";

/** Code that takes bytes from the network, and what must hold for it whatever the bytes are. */
export interface FuzzTarget {
  /** Also the name of its folder in `corpus/`. */
  readonly name: string;
  /** Inputs are cut to this many bytes. */
  readonly maxLength: number;
  /** Part of the paths of the scripts whose coverage guides the search, `/libs/stun/` for instance. */
  readonly covers: readonly string[];
  /** A throw is a finding. */
  run(input: Uint8Array): void;
  /** Puts right what random changes break, so that they get past the first checks: lengths, checksums, signatures. */
  repair?(input: Uint8Array, random: Random): Uint8Array;
}

/** The longest that one input may take, in milliseconds. */
export const TIME_LIMIT = 1_000;

/** The error that an input leads to: what was thrown, or that it took too long. */
export function finding(target: FuzzTarget, input: Uint8Array): unknown {
  const start = performance.now();
  try {
    target.run(input);
  } catch (error) {
    return error ?? new Error("threw nothing");
  }
  const elapsed = performance.now() - start;
  return elapsed > TIME_LIMIT ? new Error(`took ${Math.round(elapsed)} ms`) : undefined;
}
