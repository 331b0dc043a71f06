import { createNativeDataPlane, createNodeDataPlane, type DataPlane } from "@culvert/dataplane";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { loadBinding } from "../src/native/load.ts";
import type { Harness } from "./contract/world.ts";
import { MeshStage } from "./differential/mesh-stage.ts";
import { meshTraces } from "./differential/mesh-trace.ts";
import { Stage } from "./differential/stage.ts";
import { traces } from "./differential/trace.ts";

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

async function playOn<T>(
  create: (clock: () => number) => DataPlane,
  steps: readonly T[],
  open: (harness: Harness) => Promise<{ play(steps: readonly T[]): Promise<string[]>; close(): Promise<void> }>,
): Promise<string[]> {
  const stage = await open(harness(create));
  try {
    return await stage.play(steps);
  } finally {
    await stage.close();
  }
}

const portable = (clock: () => number): DataPlane => createNodeDataPlane({ clock });
const native = (clock: () => number): DataPlane => createNativeDataPlane({ clock, time: "stepped", workers: 2 });

describe.runIf(loadBinding().ok)("the same trace does the same on the portable and on the native data plane", () => {
  test("of clients and peers", async () => {
    await fc.assert(
      fc.asyncProperty(traces, async (steps) => {
        const expected = await playOn(portable, steps, Stage.open);
        expect(await playOn(native, steps, Stage.open)).toEqual(expected);
      }),
      { numRuns: 100 },
    );
  });

  test("of leases and of a mesh", async () => {
    await fc.assert(
      fc.asyncProperty(meshTraces, async (steps) => {
        const expected = await playOn(portable, steps, MeshStage.open);
        expect(await playOn(native, steps, MeshStage.open)).toEqual(expected);
      }),
      { numRuns: 100 },
    );
  });
});
