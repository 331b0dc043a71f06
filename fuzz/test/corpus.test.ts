import { describe, expect, it } from "vitest";
import { readCorpus } from "../src/files.ts";
import { finding } from "../src/target.ts";
import { targets } from "../targets/index.ts";

describe.each(targets)("the corpus of $name", (target) => {
  const corpus = readCorpus(target.name);

  it("is there", () => {
    expect(corpus.length).toBeGreaterThan(0);
  });

  it.each(corpus)("is stood: $name", ({ input }) => {
    expect(finding(target, input)).toBeUndefined();
  });
});
