import { describe, expect, test } from "vitest";
import { channelData, send } from "./messages.ts";
import { type CreateHarness, LOOPBACK, POLLING, tuple, World } from "./world.ts";

const CHANNEL = 0x4001;
const LEASE = 5;
const IP = LOOPBACK[4];

export function leases(create: CreateHarness): void {
  async function given() {
    const world = new World(create);
    const listener = await world.listen();
    const [client, peer] = [await world.udp(), await world.udp()];
    const relay = await world.relay(IP, { lease: LEASE });
    world.allocate(relay.id, tuple(listener, client));
    world.permit(relay.id, IP);
    world.channel(relay.id, CHANNEL, peer.address);
    const extend = (ms: number, lease = LEASE) =>
      world.apply({ type: "lease", lease, deadline: world.harness.now() + ms });
    /** All that can go through a relay, each way once. */
    const sendEverything = async () => {
      await client.send(listener.local, channelData(CHANNEL, "on the channel"));
      await client.send(listener.local, send(peer.address, "sent"));
      await peer.send(relay.address, "from the peer");
      world.apply({ type: "send", to: "peer", relay: relay.id, peer: peer.address, bytes: Buffer.from("by command") });
    };
    const expectEverything = async () => {
      const texts = (await peer.inbox.take(3)).map(({ data }) => data.toString()).sort();
      expect(texts).toEqual(["by command", "on the channel", "sent"]);
      expect((await client.next()).data).toEqual(Buffer.from(channelData(CHANNEL, "from the peer")));
    };
    return { world, listener, client, peer, relay, extend, sendEverything, expectEverything };
  }

  describe("a relay under a lease", () => {
    test("relays nothing before the lease is there", async () => {
      const { world, client, peer, relay, sendEverything } = await given();
      await sendEverything();
      await world.expectDropped({ fenced: 4 });
      expect(world.plane.relayCounters(relay.id)?.dropped).toBe(4);
      await peer.expectSilence();
      await client.expectSilence();
    });

    test("relays until the lease's deadline, and not a packet more either way", async () => {
      const { world, client, peer, extend, sendEverything, expectEverything } = await given();
      extend(3000);
      await world.harness.advance(2999);
      await sendEverything();
      await expectEverything();
      await world.harness.advance(1);
      await sendEverything();
      await world.expectDropped({ fenced: 4 });
      await peer.expectSilence();
      await client.expectSilence();
    });

    test("goes on at once, with all that it had, when the lease is renewed after all", async () => {
      const { world, extend, sendEverything, expectEverything } = await given();
      extend(3000);
      await world.harness.advance(5000);
      extend(3000);
      await sendEverything();
      await expectEverything();
      await world.expectDropped({});
    });

    test("is not kept going by another lease, and is by another one under which it is bound again", async () => {
      const { world, peer, relay, extend, sendEverything, expectEverything } = await given();
      extend(3000, LEASE + 1);
      await sendEverything();
      await world.expectDropped({ fenced: 4 });
      await peer.expectSilence();
      expect(await world.bind(relay.id, relay.address, { lease: LEASE + 1 })).toEqual({ ok: true });
      await sendEverything();
      await expectEverything();
    });

    test("is fenced when the lease is taken away", async () => {
      const { world, client, peer, extend, sendEverything } = await given();
      extend(3000);
      world.apply({ type: "lease", lease: LEASE, deadline: 0 });
      await sendEverything();
      await world.expectDropped({ fenced: 4 });
      await peer.expectSilence();
      await client.expectSilence();
    });
  });

  test("a relay without a lease is not fenced by those of others", async () => {
    const { world, listener, peer } = await given();
    const other = await world.udp();
    const relay = await world.allocation(tuple(listener, other));
    world.permit(relay.id, IP);
    await other.send(listener.local, send(peer.address, "hello"));
    expect((await peer.next()).data.toString()).toBe("hello");
  });

  test("a relay that is restored counts on from where it was", async () => {
    const world = new World(create);
    const listener = await world.listen();
    const [client, peer] = [await world.udp(), await world.udp()];
    const counters = { packetsToPeers: 7, bytesToPeers: 2 ** 40, packetsToClient: 3, bytesToClient: 30 };
    const relay = await world.relay(IP, { counters });
    expect(world.plane.relayCounters(relay.id)).toEqual({ ...counters, dropped: 0 });
    world.allocate(relay.id, tuple(listener, client));
    world.permit(relay.id, IP);
    await client.send(listener.local, send(peer.address, "hello"));
    await peer.next();
    await expect.poll(() => world.plane.relayCounters(relay.id)?.packetsToPeers, POLLING).toBe(8);
    expect(world.plane.relayCounters(relay.id)?.bytesToPeers).toBe(2 ** 40 + 5);
    expect(world.plane.counters()).toMatchObject({ packetsToPeers: 1, bytesToPeers: 5 });
    expect(await world.bind(relay.id, relay.address, { counters })).toEqual({ ok: true });
    expect(world.plane.relayCounters(relay.id)?.packetsToPeers).toBe(8);
  });
}
