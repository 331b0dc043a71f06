import { MemoryBroker, MemoryBus } from "@culvert/events";
import { describeEventBusContract } from "@culvert/events/contract";

describeEventBusContract("memory", async () => {
  const broker = new MemoryBroker();
  return {
    connect: async () => broker.connect(),
    setConnected: async (bus, connected) => {
      if (bus instanceof MemoryBus) bus.setConnected(connected);
    },
    dispose: async () => {},
  };
});
