import { createNativeDataPlane, createNodeDataPlane, type DataPlane } from "@culvert/dataplane";
import { describe } from "vitest";
import { loadBinding } from "../src/native/load.ts";
import { meshForwarding } from "./contract/mesh.ts";
import type { CreateHarness } from "./contract/world.ts";

const harness =
  (create: (clock: () => number, limits: object) => DataPlane): CreateHarness =>
  (limits) => {
    let now = 1_700_000_000_000;
    const plane = create(() => now, limits);
    return {
      plane,
      now: () => now,
      advance: (ms) => {
        now += ms;
        plane.apply([]);
      },
    };
  };

const portable = harness((clock, limits) => createNodeDataPlane({ clock, ...limits }));
const native = harness((clock, limits) => createNativeDataPlane({ clock, time: "stepped", workers: 2, ...limits }));

describe.runIf(loadBinding().ok)("relays of different data planes in one mesh", () => {
  describe("clients of a native one come by a portable one", () => meshForwarding(native, portable));
  describe("clients of a portable one come by a native one", () => meshForwarding(portable, native));
});
