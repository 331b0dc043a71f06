// Fuzzes the parsers and state machines that bytes from the network reach:
//
//   npx tsx --conditions=development fuzz/run.ts [--target NAME]... [--seconds N] [--seed S] [--keep]
//   npx tsx --conditions=development fuzz/run.ts --target NAME --input FILE
//
// Ends with 1 when a target threw or took too long; the input is in fuzz/artifacts/NAME then. --seconds is for each
// target. --keep adds inputs that reach new code to fuzz/corpus/NAME. --input runs one input only.
import { readFileSync } from "node:fs";
import { inspect, parseArgs } from "node:util";
import { type FuzzTarget, finding, fuzz, readCorpus, writeInput } from "./src/index.ts";
import { targets } from "./targets/index.ts";

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}

function number(name: string, value: string): number {
  const result = Number(value);
  return Number.isInteger(result) && result >= 0 ? result : fail(`--${name} ${value}: must be a whole number`);
}

function chosen(names: readonly string[] | undefined): readonly FuzzTarget[] {
  if (!names) return targets;
  return names.map(
    (name) =>
      targets.find((target) => target.name === name) ??
      fail(`--target ${name}: must be one of ${targets.map((target) => target.name).join(", ")}`),
  );
}

function report(target: FuzzTarget, input: Uint8Array, error: unknown): void {
  console.error(`${target.name}: ${inspect(error)}\n${input.length} bytes: ${Buffer.from(input).toString("hex")}`);
}

/** Whether the target stood it. */
function run(target: FuzzTarget, seconds: number, seed: number, keep: boolean): boolean {
  const deadline = performance.now() + seconds * 1000;
  const corpus = readCorpus(target.name).map(({ input }) => input);
  const result = fuzz(target, { seed, corpus, expired: () => performance.now() >= deadline });
  const { executions, coverage, discoveries, crash } = result;
  console.log(
    `${target.name}: seed ${seed}, ${executions} executions, ${corpus.length} inputs in the corpus, ` +
      `${discoveries.length} reached new code, ${coverage} characters of code ran`,
  );
  if (keep) for (const input of discoveries) writeInput("corpus", target.name, input);
  if (!crash) return true;
  report(target, crash.input, crash.error);
  console.error(`written to ${writeInput("artifacts", target.name, crash.input)}`);
  return false;
}

const { values } = parseArgs({
  options: {
    target: { type: "string", multiple: true },
    seconds: { type: "string", default: "30" },
    seed: { type: "string", default: String(Date.now() % 0x1_0000_0000) },
    keep: { type: "boolean", default: false },
    input: { type: "string" },
  },
});

const selected = chosen(values.target);
let stood = true;
for (const target of selected) {
  if (values.input === undefined) {
    const seconds = number("seconds", values.seconds);
    stood = run(target, seconds, number("seed", values.seed), values.keep) && stood;
    continue;
  }
  const input = new Uint8Array(readFileSync(values.input));
  const error = finding(target, input);
  console.log(`${target.name}: ${error === undefined ? "stood it" : "found"}`);
  if (error === undefined) continue;
  report(target, input, error);
  stood = false;
}
process.exitCode = stood ? 0 : 1;
