import { manualClock, seededRandom } from "@culvert/testkit";
import { describe, expect, it } from "vitest";

describe("a seeded random source", () => {
  it("gives the same for the same seed, and something else for another", () => {
    expect(seededRandom(7).bytes(32)).toEqual(seededRandom(7).bytes(32));
    expect(seededRandom(7).bytes(32)).not.toEqual(seededRandom(8).bytes(32));
  });

  it("stays in its bounds and reaches them", () => {
    const random = seededRandom(1);
    const drawn = new Set(Array.from({ length: 1000 }, () => random.int(5)));
    expect([...drawn].toSorted()).toEqual([0, 1, 2, 3, 4]);
    expect(new Set(Array.from({ length: 100 }, () => random.pick(["a", "b"])))).toEqual(new Set(["a", "b"]));
    expect(random.chance(0)).toBe(false);
    expect(random.chance(1)).toBe(true);
  });
});

describe("a manual clock", () => {
  it("moves only when told", () => {
    const clock = manualClock(10);
    expect([clock.now(), clock.advance(5), clock.now()]).toEqual([10, 15, 15]);
  });
});
