import { createNativeDataPlane, createNodeDataPlane, type DataPlane } from "@culvert/dataplane";
import fc from "fast-check";
import { expect, test } from "vitest";
import { loadBinding } from "../src/native/load.ts";
import type { Harness } from "./contract/world.ts";
import { Stage } from "./differential/stage.ts";
import { type Step, traces } from "./differential/trace.ts";

function harness(create: (clock: () => number) => DataPlane): Harness {
  let now = 1_700_000_000_000;
  const plane = create(() => now);
  return {
    plane,
    now: () => now,
    advance: (ms) => {
      now += ms;
      plane.apply([]);
    },
  };
}

async function playOn(create: (clock: () => number) => DataPlane, steps: readonly Step[]): Promise<string[]> {
  const stage = await Stage.open(harness(create));
  try {
    return await stage.play(steps);
  } finally {
    await stage.close();
  }
}

test.runIf(loadBinding().ok)("the same trace does the same on the portable and on the native data plane", async () => {
  await fc.assert(
    fc.asyncProperty(traces, async (steps) => {
      const portable = await playOn((clock) => createNodeDataPlane({ clock }), steps);
      const native = await playOn((clock) => createNativeDataPlane({ clock, time: "stepped", workers: 2 }), steps);
      expect(native).toEqual(portable);
    }),
    { numRuns: 100 },
  );
});
