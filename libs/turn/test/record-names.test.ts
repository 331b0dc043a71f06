import { expect, it } from "vitest";
import { isRecord, newRecord } from "../src/tickets.ts";

const drawn = (first: number) => newRecord({ bytes: (length) => new Uint8Array(length).fill(first, 0, 1) });

it("the name of an allocation is never taken for an option of a command", () => {
  const names = Array.from({ length: 256 }, (_, first) => drawn(first));
  expect(names.filter((name) => name.startsWith("-"))).toEqual([]);
  for (const name of names) expect(name).toSatisfy(isRecord);
});

it("is else what was drawn", () => {
  expect(drawn(0)).toBe("AAAAAAAAAAAAAAAA");
  expect(drawn(0xfc)).toBe("_AAAAAAAAAAAAAAA");
});
