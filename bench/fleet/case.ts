import type { Loadgen } from "../loadgen.ts";
import type { Cores } from "../machine.ts";
import type { Figure } from "../measure.ts";
import type { Spec } from "../report.ts";

/** What a benchmark of relays in a fleet is given. Each starts its own servers, and leaves none behind. */
export interface FleetContext {
  readonly loadgen: Loadgen;
  readonly cores: Cores;
  /** For what servers keep, removed at the end. */
  readonly directory: string;
  readonly signal: AbortSignal;
  /** Of the program that is measured. */
  readonly commit: string;
  readonly rounds: number;
  readonly quick: boolean;
  /** Seconds of one search step and of one measurement. */
  readonly step: number;
  readonly measure: number;
  readonly progress: (line: string) => void;
}

/** A figure, and what each of its samples is of: ours first, then what it is set beside. */
export interface Compared {
  readonly figure: Figure;
  readonly specs: readonly Spec[];
}

/** A benchmark of relays in a fleet. */
export interface FleetCase {
  readonly name: string;
  readonly compare: (context: FleetContext) => Promise<readonly Compared[]>;
}

/** A median to say in a note. */
export function brief(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
