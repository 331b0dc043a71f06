import { createNodeDataPlane } from "@culvert/dataplane";
import { describeDataPlaneContract, describeFleetContract } from "./contract/index.ts";
import type { CreateHarness } from "./contract/world.ts";

const create: CreateHarness = (options) => {
  let now = 1_700_000_000_000;
  return {
    plane: createNodeDataPlane({ clock: () => now, ...options }),
    now: () => now,
    advance: (ms) => {
      now += ms;
    },
  };
};

describeDataPlaneContract("node", create);
describeFleetContract("node", create);
