import { describe, expect, test } from "vitest";
import { channelData, dataIndication, send } from "./messages.ts";
import type { UdpEndpoint } from "./udp-endpoint.ts";
import { type CreateHarness, LOOPBACK, tuple, World } from "./world.ts";

const CHANNEL = 0x4001;

export function udpRelaying(create: CreateHarness): void {
  describe.each([
    { family: "IPv4", ip: LOOPBACK[4] },
    { family: "IPv6", ip: LOOPBACK[6] },
  ])("over UDP and $family", ({ ip }) => {
    async function given() {
      const world = new World(create);
      const listener = await world.listen({ local: { ip, port: 0 } });
      const [client, peer] = [await world.udp(ip), await world.udp(ip)];
      const relay = await world.allocation(tuple(listener, client), { ip });
      world.permit(relay.id, ip);
      return { world, listener, client, peer, relay };
    }

    async function givenChannel() {
      const all = await given();
      all.world.channel(all.relay.id, CHANNEL, all.peer.address);
      return all;
    }

    test("ChannelData reaches the peer from the relayed address, without its header", async () => {
      const { client, listener, peer, relay } = await givenChannel();
      await client.send(listener.local, channelData(CHANNEL, "hello"));
      expect(await peer.next()).toEqual({ data: Buffer.from("hello"), from: relay.address });
    });

    test("padding after ChannelData does not reach the peer", async () => {
      const { client, listener, peer } = await givenChannel();
      await client.send(listener.local, Buffer.concat([channelData(CHANNEL, "hello"), Buffer.alloc(3)]));
      expect((await peer.next()).data.toString()).toBe("hello");
    });

    test("a peer's datagram reaches the client as ChannelData, not padded, from the listener's address", async () => {
      const { client, listener, peer, relay } = await givenChannel();
      await peer.send(relay.address, "hello");
      expect(await client.next()).toEqual({ data: Buffer.from(channelData(CHANNEL, "hello")), from: listener.local });
    });

    test("a Send indication reaches its peer", async () => {
      const { client, listener, peer, relay } = await given();
      await client.send(listener.local, send(peer.address, "hello"));
      expect(await peer.next()).toEqual({ data: Buffer.from("hello"), from: relay.address });
    });

    test("without a channel a peer's datagram reaches the client as a Data indication", async () => {
      const { client, peer, relay } = await given();
      await peer.send(relay.address, "one");
      await peer.send(relay.address, "two2");
      const [one, two] = await client.inbox.take(2);
      expect(dataIndication(one?.data ?? Buffer.of())).toEqual({ peer: peer.address, data: "one" });
      expect(dataIndication(two?.data ?? Buffer.of())).toEqual({ peer: peer.address, data: "two2" });
      expect(one?.data.subarray(8, 20)).not.toEqual(two?.data.subarray(8, 20));
      expect(one?.data.at(-1), "padding is zero").toBe(0);
    });

    test("the channel numbers of RFC 5766 serve as well", async () => {
      const { world, client, listener, peer, relay } = await given();
      world.channel(relay.id, 0x7ffe, peer.address);
      await client.send(listener.local, channelData(0x7ffe, "hello"));
      expect((await peer.next()).data.toString()).toBe("hello");
      await peer.send(relay.address, "back");
      expect((await client.next()).data).toEqual(Buffer.from(channelData(0x7ffe, "back")));
    });

    test("a channel does not keep Send indications from its peer", async () => {
      const { client, listener, peer } = await givenChannel();
      await client.send(listener.local, send(peer.address, "hello"));
      expect((await peer.next()).data.toString()).toBe("hello");
    });

    test("payloads of no bytes pass, both ways and in both forms", async () => {
      const { world, client, listener, peer, relay } = await givenChannel();
      const other = await world.udp(ip);
      await client.send(listener.local, channelData(CHANNEL, ""));
      expect((await peer.next()).data).toHaveLength(0);
      await client.send(listener.local, send(other.address, ""));
      expect((await other.next()).data).toHaveLength(0);
      await peer.send(relay.address, "");
      expect((await client.next()).data).toEqual(Buffer.from(channelData(CHANNEL, "")));
      await other.send(relay.address, "");
      expect(dataIndication((await client.next()).data)).toEqual({ peer: other.address, data: "" });
    });

    test.each([1, 3, 4, 1200, 1472, 9000, 60_000])("payloads of %i bytes pass unchanged", async (length) => {
      const { world, client, listener, peer, relay } = await givenChannel();
      const other = await world.udp(ip);
      const data = Buffer.from(Array.from({ length }, (_, i) => (i * 31) & 0xff));
      await client.send(listener.local, channelData(CHANNEL, data));
      expect((await peer.next()).data.equals(data)).toBe(true);
      await client.send(listener.local, send(other.address, data));
      expect((await other.next()).data.equals(data)).toBe(true);
      await peer.send(relay.address, data);
      expect((await client.next()).data.subarray(4).equals(data)).toBe(true);
    });

    test("a burst passes whole and in order, both ways", async () => {
      const { client, listener, peer, relay } = await givenChannel();
      const payloads = Array.from({ length: 300 }, (_, i) => `packet ${i} ${"x".repeat(i)}`);
      const text = (datagrams: { readonly data: Buffer }[], skip: number) =>
        datagrams.map(({ data }) => data.subarray(skip).toString());

      await Promise.all(payloads.map((payload) => client.send(listener.local, channelData(CHANNEL, payload))));
      expect(text(await peer.inbox.take(payloads.length), 0)).toEqual(payloads);
      await Promise.all(payloads.map((payload) => peer.send(relay.address, payload)));
      expect(text(await client.inbox.take(payloads.length), 4)).toEqual(payloads);
    });
  });

  describe("clients of one listener", () => {
    test("have channel numbers of their own", async () => {
      const world = new World(create);
      const listener = await world.listen();
      const pairs: { readonly client: UdpEndpoint; readonly peer: UdpEndpoint }[] = [];
      for (let i = 0; i < 3; i++) {
        const [client, peer] = [await world.udp(), await world.udp()];
        const relay = await world.allocation(tuple(listener, client));
        world.permit(relay.id, LOOPBACK[4]);
        world.channel(relay.id, CHANNEL, peer.address);
        pairs.push({ client, peer });
      }
      for (const [i, { client }] of pairs.entries())
        await client.send(listener.local, channelData(CHANNEL, `from ${i}`));
      for (const [i, { peer }] of pairs.entries()) expect((await peer.next()).data.toString()).toBe(`from ${i}`);
      for (const { peer } of pairs) await peer.expectSilence();
    });

    test("are other clients on another listener", async () => {
      const world = new World(create);
      const [listener, other] = [await world.listen(), await world.listen()];
      const [client, peer] = [await world.udp(), await world.udp()];
      const relay = await world.allocation(tuple(listener, client));
      world.permit(relay.id, LOOPBACK[4]);
      await client.send(other.local, send(peer.address, "by the wrong listener"));
      await client.send(listener.local, send(peer.address, "by the right one"));
      expect((await peer.next()).data.toString()).toBe("by the right one");
      await world.expectDropped({ "no-allocation": 1 });
    });

    test("can reach each other by their relays", async () => {
      const world = new World(create);
      const listener = await world.listen();
      const [a, b] = [await world.udp(), await world.udp()];
      const relayA = await world.allocation(tuple(listener, a));
      const relayB = await world.allocation(tuple(listener, b));
      world.permit(relayA.id, LOOPBACK[4]);
      world.permit(relayB.id, LOOPBACK[4]);
      world.channel(relayB.id, CHANNEL, relayA.address);
      await a.send(listener.local, send(relayB.address, "hello"));
      expect((await b.next()).data).toEqual(Buffer.from(channelData(CHANNEL, "hello")));
      await b.send(listener.local, channelData(CHANNEL, "hello yourself"));
      expect(dataIndication((await a.next()).data)).toEqual({ peer: relayB.address, data: "hello yourself" });
    });
  });
}
