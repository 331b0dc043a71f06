import { driveTurnServer, seededRandom } from "@culvert/testkit";
import fc from "fast-check";
import { describe, it } from "vitest";

describe("whatever clients, peers, operators and time do", () => {
  it("the server does not throw, relays nothing without a permission, and keeps nothing in the end", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 50, max: 1500 }), (seed, length) => {
        driveTurnServer(seededRandom(seed).bytes(length));
      }),
      { numRuns: 150 },
    );
  });

  it("the same holds for short games, which shrink", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (input) => {
        driveTurnServer(input);
      }),
      { numRuns: 150 },
    );
  });
});
