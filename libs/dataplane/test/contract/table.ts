import { describe, expect, test } from "vitest";
import { binding, channelData, dataIndication, send } from "./messages.ts";
import { type CreateHarness, LIFETIME, LOOPBACK, POLLING, tuple, World } from "./world.ts";

const CHANNEL = 0x4001;
const IP = LOOPBACK[4];
/** TEST-NET-3 (RFC 5737): the address by which clients know a peer that is at 127.0.0.1 in truth. */
const PUBLIC_IP = "203.0.113.5";

export function relayTable(create: CreateHarness): void {
  async function given() {
    const world = new World(create);
    const listener = await world.listen();
    const [client, peer, canary] = [await world.udp(), await world.udp(), await world.udp()];
    const relay = await world.relay();
    return { world, listener, client, peer, canary, relay, owner: tuple(listener, client) };
  }

  async function givenAllocation() {
    const all = await given();
    all.world.allocate(all.relay.id, all.owner);
    return all;
  }

  /** All that can go through a relay, each way once. */
  async function sendEverything({ listener, client, peer, relay }: Awaited<ReturnType<typeof given>>) {
    await client.send(listener.local, channelData(CHANNEL, "on the channel"));
    await client.send(listener.local, send(peer.address, "sent"));
    await peer.send(relay.address, "from the peer");
  }

  describe("nothing passes", () => {
    test("without an allocation entry", async () => {
      const all = await given();
      all.world.permit(all.relay.id, IP);
      all.world.channel(all.relay.id, CHANNEL, all.peer.address);
      await sendEverything(all);
      await all.world.expectDropped({ "no-allocation": 2 });
      expect((await all.world.event("client-input")).bytes).toEqual(
        Buffer.from(channelData(CHANNEL, "on the channel")),
      );
      await all.peer.expectSilence();
      await all.client.expectSilence();
    });

    test("without a permission, on a channel neither", async () => {
      const all = await givenAllocation();
      all.world.permit(all.relay.id, "192.0.2.1");
      all.world.channel(all.relay.id, CHANNEL, all.peer.address);
      await sendEverything(all);
      await all.world.expectDropped({ "no-permission": 3 });
      await all.peer.expectSilence();
      await all.client.expectSilence();
      expect(all.world.plane.relayCounters(all.relay.id)?.dropped).toBe(3);
    });

    test("to or from ports of the peer that the permission leaves out", async () => {
      const all = await givenAllocation();
      const { world, relay, peer, canary, client, listener } = all;
      world.permit(relay.id, IP, { ports: { min: peer.address.port, max: peer.address.port } });
      world.channel(relay.id, CHANNEL, canary.address);
      world.channel(relay.id, CHANNEL + 1, peer.address);
      await client.send(listener.local, channelData(CHANNEL, "canary"));
      await client.send(listener.local, send(canary.address, "canary"));
      await canary.send(relay.address, "from the canary");
      await world.expectDropped({ "no-permission": 3 });

      await client.send(listener.local, channelData(CHANNEL + 1, "peer"));
      expect((await peer.next()).data.toString()).toBe("peer");
      await peer.send(relay.address, "from the peer");
      expect((await client.next()).data).toEqual(Buffer.from(channelData(CHANNEL + 1, "from the peer")));
      await canary.expectSilence();
    });

    test("to or from ports that the permission excepts: the own listeners", async () => {
      const { world, relay, peer, canary, client, listener } = await givenAllocation();
      world.permit(relay.id, IP, { exceptPorts: [canary.address.port] });
      await client.send(listener.local, send(canary.address, "canary"));
      await canary.send(relay.address, "from the canary");
      await world.expectDropped({ "no-permission": 2 });
      await client.send(listener.local, send(peer.address, "peer"));
      expect((await peer.next()).data.toString()).toBe("peer");
      await canary.expectSilence();
    });

    test("once the permission is revoked", async () => {
      const all = await givenAllocation();
      all.world.permit(all.relay.id, IP);
      all.world.channel(all.relay.id, CHANNEL, all.peer.address);
      all.world.apply({ type: "revoke", key: { kind: "permission", relay: all.relay.id, ip: IP } });
      await sendEverything(all);
      await all.world.expectDropped({ "no-permission": 3 });
      await all.peer.expectSilence();
      await all.client.expectSilence();
    });

    test("once the relay is unbound, and its port is free", async () => {
      const all = await givenAllocation();
      all.world.permit(all.relay.id, IP);
      all.world.apply({ type: "unbind", relay: all.relay.id });
      await all.client.send(all.listener.local, send(all.peer.address, "sent"));
      await all.world.expectDropped({ "no-allocation": 1 });
      expect(await all.world.bind(1000, all.relay.address)).toEqual({ ok: true });
      all.world.allocate(1000, all.owner);
      await all.client.send(all.listener.local, send(all.peer.address, "sent"));
      await all.world.expectDropped({ "no-allocation": 1, "no-permission": 1 });
      await all.peer.expectSilence();
    });
  });

  describe("at its deadline", () => {
    test.each(["allocation", "permission"] as const)("an %s lets nothing pass any more", async (kind) => {
      const all = await given();
      const { world, relay, owner, peer } = all;
      const deadline = world.harness.now() + 1000;
      world.allocate(relay.id, owner, kind === "allocation" ? { deadline } : {});
      world.permit(relay.id, IP, kind === "permission" ? { deadline } : {});
      world.channel(relay.id, CHANNEL, peer.address);
      await world.harness.advance(999);
      await sendEverything(all);
      expect((await peer.inbox.take(2)).map(({ data }) => data.toString())).toEqual(["on the channel", "sent"]);
      expect((await all.client.next()).data).toEqual(Buffer.from(channelData(CHANNEL, "from the peer")));

      await world.harness.advance(1);
      await sendEverything(all);
      await world.expectDropped({ expired: 3 });
      await peer.expectSilence();
      await all.client.expectSilence();
    });

    test("a channel passes no ChannelData any more, while the permission still lets its peer through", async () => {
      const all = await givenAllocation();
      const { world, relay, peer, client } = all;
      world.permit(relay.id, IP);
      world.channel(relay.id, CHANNEL, peer.address, { deadline: world.harness.now() + 1000 });
      await world.harness.advance(1000);
      await sendEverything(all);
      expect((await peer.next()).data.toString()).toBe("sent");
      expect(dataIndication((await client.next()).data)).toEqual({ peer: peer.address, data: "from the peer" });
      await world.expectDropped({ expired: 1 });
    });

    test("an entry that was replaced in time goes on", async () => {
      const all = await given();
      const { world, relay, owner, peer, client } = all;
      const deadline = world.harness.now() + 1000;
      world.allocate(relay.id, owner, { deadline });
      world.permit(relay.id, IP, { deadline });
      world.channel(relay.id, CHANNEL, peer.address, { deadline });
      world.allocate(relay.id, owner, { deadline: deadline + LIFETIME });
      world.permit(relay.id, IP, { deadline: deadline + LIFETIME });
      world.channel(relay.id, CHANNEL, peer.address, { deadline: deadline + LIFETIME });
      await world.harness.advance(1000);
      await sendEverything(all);
      expect((await peer.inbox.take(2)).map(({ data }) => data.toString())).toEqual(["on the channel", "sent"]);
      expect((await client.next()).data).toEqual(Buffer.from(channelData(CHANNEL, "from the peer")));
    });
  });

  describe("a permission", () => {
    test("is for every port of the peer's address", async () => {
      const { world, listener, client, peer, canary, relay } = await givenAllocation();
      world.permit(relay.id, IP);
      await client.send(listener.local, send(peer.address, "one"));
      await client.send(listener.local, send(canary.address, "two"));
      expect((await peer.next()).data.toString()).toBe("one");
      expect((await canary.next()).data.toString()).toBe("two");
    });

    test("with another address on the wire maps it both ways, for Send and Data", async () => {
      const { world, listener, client, peer, relay } = await givenAllocation();
      world.permit(relay.id, PUBLIC_IP, { wireIp: IP });
      await client.send(listener.local, send({ ip: PUBLIC_IP, port: peer.address.port }, "hello"));
      expect((await peer.next()).data.toString()).toBe("hello");
      await peer.send(relay.address, "back");
      const known = { ip: PUBLIC_IP, port: peer.address.port };
      expect(dataIndication((await client.next()).data)).toEqual({ peer: known, data: "back" });

      await client.send(listener.local, send(peer.address, "by the wire's address"));
      await world.expectDropped({ "no-permission": 1 });
      await peer.expectSilence();
    });

    test("with another address on the wire serves a channel, both ways", async () => {
      const { world, listener, client, peer, relay } = await givenAllocation();
      world.permit(relay.id, PUBLIC_IP, { wireIp: IP });
      world.channel(relay.id, CHANNEL, { ip: PUBLIC_IP, port: peer.address.port }, { wireIp: IP });
      await client.send(listener.local, channelData(CHANNEL, "hello"));
      expect((await peer.next()).data.toString()).toBe("hello");
      await peer.send(relay.address, "back");
      expect((await client.next()).data).toEqual(Buffer.from(channelData(CHANNEL, "back")));
    });

    test("may share its address on the wire with another one", async () => {
      const { world, client, peer, relay } = await givenAllocation();
      const { port } = peer.address;
      world.permit(relay.id, PUBLIC_IP, { wireIp: IP, ports: { min: port, max: port } });
      world.permit(relay.id, IP);
      await peer.send(relay.address, "one");
      expect(dataIndication((await client.next()).data)?.peer).toEqual({ ip: PUBLIC_IP, port });
      world.apply({ type: "revoke", key: { kind: "permission", relay: relay.id, ip: PUBLIC_IP } });
      await peer.send(relay.address, "two");
      expect(dataIndication((await client.next()).data)?.peer).toEqual(peer.address);
    });
  });

  describe("a channel", () => {
    test("that is revoked is unknown, and its peer's data comes in Data indications", async () => {
      const all = await givenAllocation();
      const { world, relay, peer, client } = all;
      world.permit(relay.id, IP);
      world.channel(relay.id, CHANNEL, peer.address);
      world.apply({ type: "revoke", key: { kind: "channel", relay: relay.id, channel: CHANNEL } });
      await sendEverything(all);
      expect((await peer.next()).data.toString()).toBe("sent");
      expect((await world.event("client-input")).bytes).toEqual(Buffer.from(channelData(CHANNEL, "on the channel")));
      expect(dataIndication((await client.next()).data)).toEqual({ peer: peer.address, data: "from the peer" });
    });

    test("that is bound to another peer leaves the first one", async () => {
      const { world, listener, client, peer, canary, relay } = await givenAllocation();
      world.permit(relay.id, IP);
      world.channel(relay.id, CHANNEL, canary.address);
      world.channel(relay.id, CHANNEL, peer.address);
      await client.send(listener.local, channelData(CHANNEL, "hello"));
      expect((await peer.next()).data.toString()).toBe("hello");
      await canary.send(relay.address, "not on the channel");
      expect(dataIndication((await client.next()).data)?.peer).toEqual(canary.address);
      await canary.expectSilence();
    });
  });

  describe("a client", () => {
    async function givenBoth() {
      const all = await givenAllocation();
      const peer6 = await all.world.udp(LOOPBACK[6]);
      const relay6 = await all.world.allocation(all.owner, { ip: LOOPBACK[6] });
      all.world.permit(all.relay.id, IP);
      all.world.permit(relay6.id, LOOPBACK[6]);
      return { ...all, peer6, relay6 };
    }

    test("may own a relay of each family, and Send goes by the peer's", async () => {
      const { listener, client, peer, peer6, relay, relay6 } = await givenBoth();
      await client.send(listener.local, send(peer.address, "four"));
      await client.send(listener.local, send(peer6.address, "six"));
      expect(await peer.next()).toEqual({ data: Buffer.from("four"), from: relay.address });
      expect(await peer6.next()).toEqual({ data: Buffer.from("six"), from: relay6.address });
      await peer6.send(relay6.address, "back");
      expect(dataIndication((await client.next()).data)).toEqual({ peer: peer6.address, data: "back" });
    });

    test("has its channels on both", async () => {
      const { world, listener, client, peer, peer6, relay, relay6 } = await givenBoth();
      world.channel(relay.id, CHANNEL, peer.address);
      world.channel(relay6.id, CHANNEL + 1, peer6.address);
      await client.send(listener.local, channelData(CHANNEL, "four"));
      await client.send(listener.local, channelData(CHANNEL + 1, "six"));
      expect(await peer.next()).toEqual({ data: Buffer.from("four"), from: relay.address });
      expect(await peer6.next()).toEqual({ data: Buffer.from("six"), from: relay6.address });
      await peer6.send(relay6.address, "back");
      expect((await client.next()).data).toEqual(Buffer.from(channelData(CHANNEL + 1, "back")));
    });

    test("has each channel number once", async () => {
      const { world, listener, client, peer, peer6, relay, relay6 } = await givenBoth();
      world.channel(relay.id, CHANNEL, peer.address);
      world.channel(relay6.id, CHANNEL, peer6.address);
      await client.send(listener.local, channelData(CHANNEL, "six"));
      expect((await peer6.next()).data.toString()).toBe("six");
      await peer.send(relay.address, "not on the channel");
      expect(dataIndication((await client.next()).data)).toEqual({ peer: peer.address, data: "not on the channel" });
      await peer.expectSilence();
    });

    test("keeps the other relay when one goes", async () => {
      const { world, listener, client, peer, peer6, relay } = await givenBoth();
      world.apply({ type: "unbind", relay: relay.id });
      await client.send(listener.local, send(peer.address, "four"));
      await client.send(listener.local, send(peer6.address, "six"));
      expect((await peer6.next()).data.toString()).toBe("six");
      await world.expectDropped({ "no-allocation": 1 });
      await peer.expectSilence();
    });

    test("that gets another relay of the same family has lost the first", async () => {
      const { world, listener, client, peer, relay, owner } = await givenAllocation();
      world.permit(relay.id, IP);
      world.channel(relay.id, CHANNEL, peer.address);
      const second = await world.allocation(owner);
      world.permit(second.id, IP);
      await client.send(listener.local, send(peer.address, "hello"));
      expect((await peer.next()).from).toEqual(second.address);
      await peer.send(relay.address, "to the first");
      await world.expectDropped({ "no-allocation": 1 });
      await client.send(listener.local, channelData(CHANNEL, "of the first"));
      await world.event("client-input");
      await client.expectSilence();
      await peer.expectSilence();
    });

    test("takes its relay along to another address, with permissions, channels and counters", async () => {
      const { world, listener, client, peer, canary, relay } = await givenAllocation();
      world.permit(relay.id, IP);
      world.channel(relay.id, CHANNEL, peer.address);
      await sendEverything({ world, listener, client, peer, canary, relay, owner: tuple(listener, client) });
      await peer.inbox.take(2);
      await client.next();

      const moved = await world.udp();
      world.allocate(relay.id, tuple(listener, moved));
      await moved.send(listener.local, channelData(CHANNEL, "moved"));
      expect((await peer.next()).data.toString()).toBe("moved");
      await moved.send(listener.local, send(canary.address, "moved"));
      expect(await canary.next()).toEqual({ data: Buffer.from("moved"), from: relay.address });
      await peer.send(relay.address, "back");
      expect((await moved.next()).data).toEqual(Buffer.from(channelData(CHANNEL, "back")));
      await canary.send(relay.address, "back");
      expect(dataIndication((await moved.next()).data)).toEqual({ peer: canary.address, data: "back" });
      await client.send(listener.local, channelData(CHANNEL, "from the old address"));
      await client.send(listener.local, send(peer.address, "from the old address"));
      await world.expectDropped({ "no-allocation": 1 });
      await client.expectSilence();
      await peer.expectSilence();
      const toPeers = "on the channel".length + "sent".length + 2 * "moved".length;
      const toClient = "from the peer".length + 2 * "back".length;
      await expect
        .poll(() => world.plane.relayCounters(relay.id), POLLING)
        .toEqual({ packetsToPeers: 4, bytesToPeers: toPeers, packetsToClient: 3, bytesToClient: toClient, dropped: 0 });
    });

    test("takes its relay along from a stream, which may end afterwards", async () => {
      const { world, listener, peer, relay } = await given();
      const streams = await world.listen({ transport: "tcp" });
      const stream = await world.connect(streams);
      await stream.write(binding());
      const { client } = await world.event("client-input");
      world.allocate(relay.id, client);
      world.permit(relay.id, IP);
      world.channel(relay.id, CHANNEL, peer.address);
      const moved = await world.udp();
      world.allocate(relay.id, tuple(listener, moved));
      world.apply({ type: "close", client });
      await stream.ended;
      await world.event("client-closed");
      await moved.send(listener.local, channelData(CHANNEL, "moved"));
      expect((await peer.next()).data.toString()).toBe("moved");
      await peer.send(relay.address, "back");
      expect((await moved.next()).data).toEqual(Buffer.from(channelData(CHANNEL, "back")));
    });
  });

  describe("commands", () => {
    test("may be repeated", async () => {
      const all = await given();
      const { world, listener, client, peer, relay, owner } = all;
      for (let i = 0; i < 3; i++) {
        expect(await world.bind(relay.id, relay.address)).toEqual({ ok: true });
        world.allocate(relay.id, owner);
        world.permit(relay.id, IP);
        world.channel(relay.id, CHANNEL, peer.address);
      }
      await sendEverything(all);
      expect((await peer.inbox.take(2)).map(({ data }) => data.toString())).toEqual(["on the channel", "sent"]);
      expect((await client.next()).data).toEqual(Buffer.from(channelData(CHANNEL, "from the peer")));
      for (let i = 0; i < 3; i++) {
        world.apply(
          { type: "revoke", key: { kind: "channel", relay: relay.id, channel: CHANNEL } },
          { type: "revoke", key: { kind: "permission", relay: relay.id, ip: IP } },
          { type: "unbind", relay: relay.id },
        );
      }
      await client.send(listener.local, send(peer.address, "sent"));
      await world.expectDropped({ "no-allocation": 1 });
      await peer.expectSilence();
    });

    test("for a relay that is not open do nothing", async () => {
      const { world, listener, client, peer, owner } = await given();
      world.allocate(77, owner);
      world.permit(77, IP);
      world.channel(77, CHANNEL, peer.address);
      world.apply(
        { type: "revoke", key: { kind: "permission", relay: 78, ip: IP } },
        { type: "unbind", relay: 78 },
        { type: "send", to: "peer", relay: 77, peer: peer.address, bytes: Buffer.from("hello") },
      );
      await client.send(listener.local, send(peer.address, "sent"));
      await world.expectDropped({ "no-allocation": 2 });
      await peer.expectSilence();
    });

    test("of one batch are carried out in their order, a bind and what needs it together", async () => {
      const { world, listener, client, peer, relay, owner } = await given();
      world.apply({ type: "unbind", relay: relay.id });
      const { deadline } = world;
      world.apply(
        { type: "bind", relay: 500, local: relay.address },
        { type: "upsert", entry: { kind: "allocation", relay: 500, client: owner, family: 4, deadline } },
        { type: "upsert", entry: { kind: "permission", relay: 500, ip: IP, deadline } },
      );
      expect((await world.event("bound")).result).toEqual({ ok: true });
      await client.send(listener.local, send(peer.address, "hello"));
      expect(await peer.next()).toEqual({ data: Buffer.from("hello"), from: relay.address });
    });

    test("send in the client's name under the same rules", async () => {
      const { world, peer, relay, canary } = await givenAllocation();
      const toPeer = (ip: string) =>
        world.apply({
          type: "send",
          to: "peer",
          relay: relay.id,
          peer: { ip, port: peer.address.port },
          bytes: Buffer.from(`to ${ip}`),
        });
      toPeer(IP);
      await world.expectDropped({ "no-permission": 1 });
      world.permit(relay.id, PUBLIC_IP, { wireIp: IP });
      toPeer(PUBLIC_IP);
      expect(await peer.next()).toEqual({ data: Buffer.from(`to ${PUBLIC_IP}`), from: relay.address });
      await canary.expectSilence();
    });
  });
}
