import { createRedisFleetStore, type FleetStore } from "@culvert/state";
import { describeFleetStoreContract } from "@culvert/state/contract";
import { type RedisServer, startRedis, type TcpSwitch, tcpSwitch } from "@culvert/testkit";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect } from "vitest";
import { shiftTime } from "./support/shift.ts";

let server: RedisServer;
let admin: Redis;
beforeAll(async () => {
  server = await startRedis();
  admin = new Redis({ port: server.port });
});
afterAll(async () => {
  admin?.disconnect();
  await server?.dispose();
});

describeFleetStoreContract("Redis", async () => {
  await admin.flushall();
  const links = new Map<FleetStore, TcpSwitch>();
  return {
    async connect() {
      const link = await tcpSwitch(server.port);
      const store = createRedisFleetStore({
        server: { kind: "standalone", host: "127.0.0.1", port: link.port },
        database: 0,
        prefix: "culvert",
        commandTimeoutMs: 10_000,
      });
      links.set(store, link);
      expect(await store.untilUp(15_000)).toBe(true);
      return store;
    },
    async setConnected(store, connected) {
      links.get(store)?.set(connected ? "open" : "cut");
    },
    elapse: (ms) => shiftTime(admin, "culvert", ms),
    async flush() {
      await admin.flushall();
    },
    async dispose() {
      for (const [store, link] of links) {
        await store.close();
        await link.close();
      }
    },
  };
});
