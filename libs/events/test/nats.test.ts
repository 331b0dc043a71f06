import { createNatsBus, type EventBus, type NatsBus } from "@culvert/events";
import { describeEventBusContract } from "@culvert/events/contract";
import { type NatsServer, startNats, type TcpSwitch, tcpSwitch } from "@culvert/testkit";
import { afterAll, beforeAll } from "vitest";

let server: NatsServer;

beforeAll(async () => {
  server = await startNats();
});

afterAll(() => server.dispose());

const healthOf = (bus: EventBus, up: boolean): Promise<void> =>
  new Promise((resolve) => {
    if (bus.health().up === up) return resolve();
    const stop = bus.onHealthChange((health) => {
      if (health.up !== up) return;
      stop();
      resolve();
    });
  });

describeEventBusContract("nats", async () => {
  const lines = new Map<EventBus, TcpSwitch>();
  return {
    async connect(): Promise<NatsBus> {
      const line = await tcpSwitch(server.port);
      const bus = createNatsBus({ servers: [`127.0.0.1:${line.port}`] });
      lines.set(bus, line);
      await healthOf(bus, true);
      return bus;
    },
    async setConnected(bus, connected) {
      lines.get(bus)?.set(connected ? "open" : "cut");
      await healthOf(bus, connected);
    },
    async dispose() {
      for (const line of lines.values()) await line.close();
    },
  };
});
