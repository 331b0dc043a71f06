import { createNodeDataPlane } from "@culvert/dataplane";
import { describeDataPlaneContract } from "./contract/index.ts";

describeDataPlaneContract("node", (limits) => {
  let now = 1_700_000_000_000;
  return {
    plane: createNodeDataPlane({ clock: () => now, ...limits }),
    now: () => now,
    advance: (ms) => {
      now += ms;
    },
  };
});
