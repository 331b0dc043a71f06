import { describe, expect, test } from "vitest";
import { type CreateHarness, LOOPBACK, World } from "./world.ts";

export function relaySockets(create: CreateHarness): void {
  describe("a relay socket", () => {
    test.each([LOOPBACK[4], LOOPBACK[6]])("on a taken port of %s is in use", async (ip) => {
      const world = new World(create);
      const taken = await world.udp(ip);
      expect(await world.bind(1, taken.address)).toEqual({ ok: false, reason: "in-use" });
      expect(world.plane.counters().relays).toBe(0);
      expect(world.plane.relayCounters(1)).toBeUndefined();
    });

    test("on a port that another relay has is in use, until that one is unbound", async () => {
      const world = new World(create);
      const first = await world.relay();
      expect(await world.bind(1000, first.address)).toEqual({ ok: false, reason: "in-use" });
      world.apply({ type: "unbind", relay: first.id });
      expect(await world.bind(1000, first.address)).toEqual({ ok: true });
    });

    test("on an address that is not one of this host is unavailable", async () => {
      const world = new World(create);
      expect(await world.bind(1, { ip: "192.0.2.1", port: 50_000 })).toEqual({ ok: false, reason: "unavailable" });
    });

    test("that is bound again is still there; to another address it is in use", async () => {
      const world = new World(create);
      const { id, address } = await world.relay();
      expect(await world.bind(id, address)).toEqual({ ok: true });
      expect(await world.bind(id, { ip: address.ip, port: address.port === 65_535 ? 1024 : address.port + 1 })).toEqual(
        {
          ok: false,
          reason: "in-use",
        },
      );
      expect(world.plane.counters().relays).toBe(1);
    });

    test("that failed to bind can be bound elsewhere", async () => {
      const world = new World(create);
      const taken = await world.udp();
      expect(await world.bind(1, taken.address)).toEqual({ ok: false, reason: "in-use" });
      const free = await world.relay();
      world.apply({ type: "unbind", relay: free.id });
      expect(await world.bind(1, free.address)).toEqual({ ok: true });
    });

    test("gives its port back when the data plane closes", async () => {
      const world = new World(create);
      const { address } = await world.relay();
      await world.plane.close();
      const other = new World(create);
      expect(await other.bind(1, address)).toEqual({ ok: true });
    });
  });
}
