import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { linesOf, ResultFile, table } from "../report.ts";
import { median } from "../samples.ts";
import type { ServerSpec } from "../servers.ts";

const spec = (name: string, version: string): ServerSpec => ({ name, version, role: "peer", command: () => [] });
const servers = [spec("culvert", "1"), spec("coturn", "4.6.1"), spec("coturn", "4.9 --udp-gso")];
const figure = {
  bench: "udp-channel-200",
  unit: "packets/s",
  samples: [
    [150_000, 90_000, 120_000],
    [160_000, 161_000, 40_000],
    [240_000, 240_000, 240_000],
  ],
};

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "bench-report-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

test("ours is set beside each peer by medians, with the range of the rounds", () => {
  expect(linesOf(figure, servers)).toEqual([
    {
      bench: "udp-channel-200",
      ours: 120_000,
      peer: "coturn 4.6.1",
      theirs: 160_000,
      ratio: 0.75,
      unit: "packets/s",
      oursSpread: [90_000, 150_000],
      theirsSpread: [40_000, 161_000],
      rounds: 3,
    },
    expect.objectContaining({ peer: "coturn 4.9 --udp-gso", theirs: 240_000, ratio: 0.5 }),
  ]);
});

test("the result file holds one run only, a JSON object a line, the agreed keys first", () => {
  const path = join(folder, "out", "latest.jsonl");
  new ResultFile(path).append(linesOf(figure, servers));
  new ResultFile(path).append(linesOf(figure, servers));
  const lines = readFileSync(path, "utf8").trimEnd().split("\n");
  expect(lines).toHaveLength(2);
  expect(Object.keys(JSON.parse(lines[0] ?? "")).slice(0, 6)).toEqual([
    "bench",
    "ours",
    "peer",
    "theirs",
    "ratio",
    "unit",
  ]);
});

test("the table tells what limited a figure", () => {
  const text = table(linesOf({ ...figure, note: "generator at its limit with coturn" }, servers));
  expect(text).toContain("generator at its limit with coturn");
  expect(text.split("\n")).toHaveLength(3);
});

test("the median of an even number of rounds lies between the two in the middle", () => {
  expect(median([4, 1, 3, 100])).toBe(3.5);
  expect(median([7])).toBe(7);
  expect(median([])).toBeNaN();
});
