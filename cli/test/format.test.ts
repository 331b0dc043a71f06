import { expect, it } from "vitest";
import { duration, shown, size, table } from "../src/format.ts";

it.each([
  [0, "0 B"],
  [999, "999 B"],
  [1000, "1.0 kB"],
  [99_949, "99.9 kB"],
  [99_950, "100 kB"],
  [999_499, "999 kB"],
  [999_500, "1.0 MB"],
  [12_345_678_901, "12.3 GB"],
  [Number.MAX_SAFE_INTEGER, "9.0 PB"],
])("%d bytes are %s", (bytes, text) => {
  expect(size(bytes)).toBe(text);
});

it.each([
  [-5, "0s"],
  [999, "0s"],
  [59_999, "59s"],
  [60_000, "1m"],
  [250_000, "4m10s"],
  [3_600_000, "1h"],
  [11_100_000, "3h5m"],
  [86_400_000 * 12 + 3_600_000 * 4 + 5000, "12d4h"],
])("%d ms are %s", (milliseconds, text) => {
  expect(duration(milliseconds)).toBe(text);
});

it("aligns columns and leaves no space at the end", () => {
  const text = table(
    ["NAME", "COUNT", "LAST"],
    [
      ["a", "1", "x"],
      ["longer", "12345", ""],
    ],
    new Set(["COUNT"]),
  );
  expect(text).toBe("NAME    COUNT  LAST\na           1  x\nlonger  12345\n");
  expect(table(["NAME", "COUNT"], [])).toBe("NAME  COUNT\n");
});

it("shows names from outside without what steers a terminal", () => {
  expect(shown("")).toBe("-");
  expect(shown("zoë 🙂")).toBe("zoë 🙂");
  expect(shown("a\u001b[31m\r\n\u202eb\u0000")).toBe("a\uFFFD[31m\uFFFD\uFFFD\uFFFDb\uFFFD");
});
