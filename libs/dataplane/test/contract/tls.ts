import { once } from "node:events";
import net from "node:net";
import type { BoundListener, DataPlaneLimits } from "@culvert/dataplane";
import { ListenError } from "@culvert/dataplane";
import { describe, expect, test } from "vitest";
import { CERTIFICATES } from "./certificates.ts";
import { binding } from "./messages.ts";
import { StreamEndpoint } from "./stream-endpoint.ts";
import { type CreateHarness, LOOPBACK, POLLING, tuple, World } from "./world.ts";

export function tlsListeners(create: CreateHarness): void {
  async function given(limits: Partial<DataPlaneLimits> = {}) {
    const world = new World(create, limits);
    const { certificate, other } = await CERTIFICATES;
    const listener = await world.listen({ transport: "tls", certificate });
    return { world, listener, certificate, other };
  }

  async function speaks(world: World, listener: BoundListener, client: StreamEndpoint): Promise<void> {
    await client.write(binding());
    expect((await world.event("client-input")).client).toEqual(tuple(listener, client));
  }

  const commonName = (client: StreamEndpoint) => client.tlsSocket.getPeerCertificate().subject.CN;

  describe("a TLS listener", () => {
    test("speaks TLS 1.3, and 1.2 with a client that knows no other", async () => {
      const { world, listener } = await given();
      expect((await world.connect(listener, { tls: {} })).tlsSocket.getProtocol()).toBe("TLSv1.3");
      const old = await world.connect(listener, { tls: { maxVersion: "TLSv1.2" } });
      expect(old.tlsSocket.getProtocol()).toBe("TLSv1.2");
    });

    test("refuses TLS 1.1", async () => {
      const { world, listener } = await given();
      const ciphers = "DEFAULT:@SECLEVEL=0";
      const old = world.connect(listener, { tls: { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers } });
      await expect(old).rejects.toThrow();
      await world.expectDropped({ "stream-framing": 1 });
    });

    test("survives handshakes that fail, and counts them", async () => {
      const { world, listener } = await given();
      for (const garbage of [binding(), Buffer.alloc(1000, 0xff), Buffer.from("GET / HTTP/1.1\r\n\r\n")]) {
        const socket = net.connect({ host: listener.local.ip, port: listener.local.port });
        socket.on("error", () => {});
        socket.write(garbage);
        socket.resume();
        await once(socket, "close");
      }
      await world.expectDropped({ "stream-framing": 3 });
      await expect.poll(() => world.plane.counters().streams, POLLING).toBe(0);
      await speaks(world, listener, await world.connect(listener, { tls: {} }));
    });

    test("closes a handshake that does not get done in time", async () => {
      const { world, listener } = await given({ streamFirstMessageMs: 100 });
      const silent = await StreamEndpoint.connect(listener.local);
      const dripping = await StreamEndpoint.connect(listener.local);
      const drip = setInterval(() => dripping.socket.write(Buffer.of(0x16)), 10);
      await Promise.all([silent.ended, dripping.ended]);
      clearInterval(drip);
      await expect.poll(() => world.plane.counters().streams, POLLING).toBe(0);
      const { dropped } = world.plane.counters();
      expect(dropped["stream-idle"] + dropped["stream-framing"]).toBe(2);
    });

    test("sends each message in a record of its own, since some clients take one message out of each", async () => {
      const { world, listener } = await given();
      const client = await world.connect(listener, { tls: {} });
      await speaks(world, listener, client);
      const records: number[] = [];
      client.socket.on("data", (record) => records.push(record.length));
      const replies = Array.from({ length: 20 }, () => binding());
      for (const bytes of replies) world.apply({ type: "send", to: "client", client: tuple(listener, client), bytes });
      for (const reply of replies) expect(await client.next()).toEqual(reply);
      expect(records).toEqual(replies.map(({ length }) => length));
    });

    test("takes another certificate for what comes next, and goes on with what is there", async () => {
      const { world, listener, other } = await given();
      const before = await world.connect(listener, { tls: {} });
      await speaks(world, listener, before);
      world.plane.setCertificate(listener.id, other);
      const after = await world.connect(listener, { tls: {} });
      expect([commonName(before), commonName(after)]).toEqual(["one.test", "two.test"]);
      await speaks(world, listener, before);
      await speaks(world, listener, after);
    });

    test("keeps its certificate when the other one is no good", async () => {
      const { world, listener, certificate, other } = await given();
      const mixed = { cert: other.cert, key: certificate.key };
      expect(() => world.plane.setCertificate(listener.id, mixed)).toThrow(ListenError);
      expect(() => world.plane.setCertificate(listener.id, { cert: "none", key: "none" })).toThrow(/certificate: /);
      expect(commonName(await world.connect(listener, { tls: {} }))).toBe("one.test");
    });

    test("is the only kind that takes a certificate", async () => {
      const { world, other } = await given();
      for (const transport of ["udp", "tcp"] as const) {
        const { id } = await world.listen({ transport, local: { ip: LOOPBACK[4], port: 0 } });
        expect(() => world.plane.setCertificate(id, other)).toThrow(ListenError);
      }
      expect(() => world.plane.setCertificate(999, other)).toThrow(ListenError);
    });
  });
}
