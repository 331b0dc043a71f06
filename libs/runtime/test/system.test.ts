import { systemRandom } from "@culvert/runtime";
import { expect, test } from "vitest";

test("random bytes are as many as asked for, and never the same memory or the same bytes again", () => {
  const seen = new Set<string>();
  const drawn: Uint8Array[] = [];
  // Beyond what is drawn at a time, by counts that do not divide it.
  for (let round = 0; round < 2000; round++) drawn.push(systemRandom.bytes(12 + (round % 5)));
  for (const bytes of drawn) seen.add(Buffer.from(bytes).toString("hex"));
  expect(seen.size).toBe(drawn.length);
  for (const [round, bytes] of drawn.entries()) expect(bytes.length).toBe(12 + (round % 5));
  for (const count of [0, 1, 1024, 1025, 100_000]) expect(systemRandom.bytes(count).length).toBe(count);
});
