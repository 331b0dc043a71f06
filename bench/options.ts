import { parseArgs } from "node:util";
import { CASES, type Case } from "./cases.ts";
import type { FleetCase } from "./fleet/case.ts";
import { FLEET_CASES } from "./fleet/cases.ts";

const ALL: readonly (Case | FleetCase)[] = [...CASES, ...FLEET_CASES];

export interface Options {
  readonly cases: readonly (Case | FleetCase)[];
  readonly rounds: number;
  /** Whether figures may mean little. */
  readonly quick: boolean;
  /** Seconds of one search step and of one measurement. */
  readonly step: number;
  readonly measure: number;
}

export const USAGE: string = `usage: bench/run.ts [--only NAME,...] [--rounds N] [--quick]
  --only    benchmarks to run, of: ${ALL.map(({ name }) => name).join(", ")}
            (default: all)
  --rounds  interleaved rounds, at least 1 (default 3)
  --quick   one short round: shows that everything works, its figures mean little
COTURN_BIN and COTURN_FLAGS name another build of coturn to measure as well, and its flags.
DATA_PLANE=node measures ours with the portable data plane.
CALL_SECONDS=600 plays the calls of redis-cost in real time.`;

export class UsageError extends Error {}

export function parseOptions(args: readonly string[]): Options {
  const { values } = parse(args);
  const quick = values.quick ?? false;
  const rounds = values.rounds === undefined ? (quick ? 1 : 3) : Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 99) {
    throw new UsageError(`--rounds ${values.rounds}: must be a whole number from 1 to 99`);
  }
  const names = values.only?.split(",").filter((name) => name !== "") ?? ALL.map((known) => known.name);
  const cases = names.map((name) => {
    const found = ALL.find((candidate) => candidate.name === name);
    if (found === undefined) {
      throw new UsageError(`--only ${name}: no such benchmark; there are ${ALL.map((known) => known.name).join(", ")}`);
    }
    return found;
  });
  return { cases, rounds, quick, step: quick ? 0.3 : 0.6, measure: quick ? 1 : 3 };
}

function parse(args: readonly string[]): { values: { only?: string; rounds?: string; quick?: boolean } } {
  try {
    return parseArgs({
      args: [...args],
      options: { only: { type: "string" }, rounds: { type: "string" }, quick: { type: "boolean" } },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
