import { createMemoryFleet } from "@culvert/state";
import { describeFleetStoreContract } from "@culvert/state/contract";
import { manualClock } from "@culvert/testkit";

describeFleetStoreContract("memory", async () => {
  const clock = manualClock();
  const fleet = createMemoryFleet(clock.now);
  return {
    connect: async () => fleet.connect(),
    setConnected: async (store, connected) => fleet.setConnected(store, connected),
    elapse: async (ms) => void clock.advance(ms),
    flush: async () => fleet.flush(),
    dispose: async () => {},
  };
});
