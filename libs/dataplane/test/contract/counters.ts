import { describe, expect, test } from "vitest";
import { channelData, send } from "./messages.ts";
import { type CreateHarness, LOOPBACK, POLLING, tuple, World } from "./world.ts";

const CHANNEL = 0x4001;

export function countersAndRates(create: CreateHarness): void {
  async function given(maxBytesPerSecond?: number) {
    const world = new World(create);
    const listener = await world.listen();
    const [client, peer] = [await world.udp(), await world.udp()];
    const options = maxBytesPerSecond === undefined ? {} : { maxBytesPerSecond };
    const relay = await world.allocation(tuple(listener, client), options);
    world.permit(relay.id, LOOPBACK[4]);
    world.channel(relay.id, CHANNEL, peer.address);
    return { world, listener, client, peer, relay };
  }

  describe("counters", () => {
    test("count packets and payload bytes each way, in all and by relay", async () => {
      const { world, listener, client, peer, relay } = await given();
      await client.send(listener.local, channelData(CHANNEL, "12345"));
      await client.send(listener.local, send(peer.address, "123"));
      await peer.inbox.take(2);
      await peer.send(relay.address, "1234567");
      await client.next();
      const toPeers = { packetsToPeers: 2, bytesToPeers: 8 };
      await expect
        .poll(() => world.plane.relayCounters(relay.id), POLLING)
        .toEqual({
          ...toPeers,
          packetsToClient: 1,
          bytesToClient: 7,
          dropped: 0,
        });
      expect(world.plane.counters()).toMatchObject({ ...toPeers, packetsToClients: 1, bytesToClients: 7, relays: 1 });
    });

    test("of a relay begin at zero when it is bound, and are gone when it is not", async () => {
      const { world, listener, client, peer, relay } = await given();
      await client.send(listener.local, channelData(CHANNEL, "12345"));
      await peer.next();
      world.apply({ type: "unbind", relay: relay.id });
      await expect.poll(() => world.plane.relayCounters(relay.id), POLLING).toBeUndefined();
      expect(world.plane.counters()).toMatchObject({ packetsToPeers: 1, relays: 0 });
      expect(await world.bind(relay.id, relay.address)).toEqual({ ok: true });
      expect(world.plane.relayCounters(relay.id)?.packetsToPeers).toBe(0);
    });
  });

  describe("a send that the kernel refuses", () => {
    test("is counted, for the relay too", async () => {
      const { world, listener, client, peer, relay } = await given();
      const broadcast = { ip: "255.255.255.255", port: peer.address.port };
      world.permit(relay.id, broadcast.ip);
      await client.send(listener.local, send(broadcast, "hello"));
      await world.expectDropped({ "send-failed": 1 });
      expect(world.plane.relayCounters(relay.id)?.dropped).toBe(1);
    });
  });

  describe("the rate limit of an allocation", () => {
    test("holds a second's worth of bytes for each direction, and fills with time", async () => {
      const { world, listener, client, peer, relay } = await given(1000);
      const half = Buffer.alloc(500, "x");
      for (let i = 0; i < 3; i++) await client.send(listener.local, channelData(CHANNEL, half));
      await world.expectDropped({ "rate-limited": 1 });
      await peer.inbox.take(2);
      for (let i = 0; i < 3; i++) await peer.send(relay.address, half);
      await world.expectDropped({ "rate-limited": 2 });
      await client.inbox.take(2);
      expect(world.plane.relayCounters(relay.id)?.dropped).toBe(2);

      await world.harness.advance(500);
      await client.send(listener.local, send(peer.address, half));
      await client.send(listener.local, send(peer.address, half));
      await world.expectDropped({ "rate-limited": 3 });
      await peer.next();
      await peer.expectSilence();
      await client.expectSilence();
    });

    test("is not filled up by a refresh", async () => {
      const { world, listener, client, peer, relay } = await given(1000);
      const all = Buffer.alloc(1000, "x");
      await client.send(listener.local, channelData(CHANNEL, all));
      await peer.next();
      world.allocate(relay.id, tuple(listener, client), { maxBytesPerSecond: 1000 });
      await client.send(listener.local, channelData(CHANNEL, all));
      await world.expectDropped({ "rate-limited": 1 });
      await peer.expectSilence();
    });

    test("lets a datagram pass that is larger than a second's worth, and makes up for it", async () => {
      const { world, listener, client, peer } = await given(1000);
      const large = Buffer.alloc(3000, "x");
      await client.send(listener.local, channelData(CHANNEL, large));
      expect((await peer.next()).data).toHaveLength(3000);
      await world.harness.advance(2000);
      await client.send(listener.local, channelData(CHANNEL, "x"));
      await world.expectDropped({ "rate-limited": 1 });
      await world.harness.advance(1);
      await client.send(listener.local, channelData(CHANNEL, "y"));
      expect((await peer.next()).data.toString()).toBe("y");
    });

    test("can be lifted", async () => {
      const { world, listener, client, peer, relay } = await given(10);
      world.allocate(relay.id, tuple(listener, client));
      for (let i = 0; i < 3; i++) await client.send(listener.local, channelData(CHANNEL, Buffer.alloc(1000)));
      await peer.inbox.take(3);
    });
  });
}
