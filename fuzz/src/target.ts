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

/** The most that one input may take, in milliseconds of the processor: what else the machine does is not the target's fault. */
export const TIME_LIMIT = 1_000;

/** The error that an input leads to: what was thrown, or that it took too long. */
export function finding(target: FuzzTarget, input: Uint8Array): unknown {
  const before = process.cpuUsage();
  try {
    target.run(input);
  } catch (error) {
    return error ?? new Error("threw nothing");
  }
  const { user, system } = process.cpuUsage(before);
  const took = (user + system) / 1000;
  return took > TIME_LIMIT ? new Error(`took ${Math.round(took)} ms`) : undefined;
}
