import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { readComments, uncommented } from "./generate/values-comments.ts";
import { CHART } from "./support/helm.ts";
import { REPOSITORY } from "./support/tools.ts";

const VALUES = readFileSync(join(CHART, "values.yaml"), "utf8");

describe("comments of values.yaml", () => {
  test("are read with the key below them", () => {
    const text = [
      "# head",
      "a:",
      "  # -- One,",
      "  # two.",
      "  b: 1",
      "  c: { d: 2 }",
      "# -- All of it.",
      "e:",
      "  f: 3",
    ];
    expect(readComments(text.join("\n"))).toEqual([
      { path: ["a"], comment: undefined },
      { path: ["a", "b"], comment: "One, two." },
      { path: ["a", "c"], comment: undefined },
      { path: ["e"], comment: "All of it." },
      { path: ["e", "f"], comment: undefined },
    ]);
    expect(uncommented(readComments(text.join("\n")))).toEqual(["a.c"]);
  });

  test("leave no value out", () => {
    const comments = readComments(VALUES);
    expect(uncommented(comments)).toEqual([]);
    const values: Readonly<Record<string, unknown>> = parse(VALUES);
    expect(Object.keys(values)).toEqual(comments.filter(({ path }) => path.length === 1).map(({ path }) => path[0]));
  });
});

test("README and schema are those of the values", () => {
  const words = ["--conditions=development", "--import", "tsx", "e2e/chart/generate/main.ts", "--check"];
  const { status, stderr } = spawnSync(process.execPath, words, { cwd: REPOSITORY, encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const readme = readFileSync(join(CHART, "README.md"), "utf8");
  for (const { path, comment } of readComments(VALUES)) {
    if (comment !== undefined) expect(readme).toContain(`| \`${path.join(".")}\` |`);
  }
});
