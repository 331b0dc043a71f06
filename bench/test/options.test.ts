import { expect, test } from "vitest";
import { CASES } from "../cases.ts";
import { FLEET_CASES } from "../fleet/cases.ts";
import { parseOptions } from "../options.ts";

const names = (args: readonly string[]): readonly string[] => parseOptions(args).cases.map(({ name }) => name);

test("without --only all benchmarks run, in three rounds", () => {
  expect(names([])).toEqual([...CASES, ...FLEET_CASES].map(({ name }) => name));
  expect(parseOptions([]).rounds).toBe(3);
});

test("--only picks benchmarks in its order", () => {
  expect(names(["--only", "binding,udp-channel-200"])).toEqual(["binding", "udp-channel-200"]);
});

test("--quick is one short round", () => {
  const { rounds, step, measure } = parseOptions(["--quick"]);
  expect(rounds).toBe(1);
  expect(step).toBeLessThan(parseOptions([]).step);
  expect(measure).toBeLessThan(parseOptions([]).measure);
});

test.each([
  [["--only", "udp-channel"], "--only udp-channel: no such benchmark"],
  [["--rounds", "0"], "--rounds 0: must be a whole number"],
  [["--rounds", "x"], "--rounds x: must be a whole number"],
  [["--fast"], "--fast"],
])("%j is refused by name", (args, message) => {
  expect(() => parseOptions(args)).toThrow(message);
});
