import { createNativeDataPlane } from "@culvert/dataplane";
import { describe } from "vitest";
import { loadBinding } from "../src/native/load.ts";
import { describeDataPlaneContract, describeFleetContract } from "./contract/index.ts";
import type { CreateHarness } from "./contract/world.ts";

describe.runIf(loadBinding().ok).each([1, 2])("with %i workers", (workers) => {
  const create: CreateHarness = (options) => {
    let now = 1_700_000_000_000;
    const plane = createNativeDataPlane({ clock: () => now, time: "stepped", workers, ...options });
    return {
      plane,
      now: () => now,
      copiesTrafficClass: true,
      advance: (ms) => {
        now += ms;
        plane.apply([]);
      },
    };
  };
  describeDataPlaneContract("native", create);
  describeFleetContract("native", create);
});
