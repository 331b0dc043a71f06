import { encodeMessage, MessageClass, Method, rawAttribute } from "@culvert/stun";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { binding, channelData, dataIndication, send } from "./messages.ts";
import { type CreateHarness, LOOPBACK, tuple, World } from "./world.ts";

export function clientInput(create: CreateHarness): void {
  async function given(mode: "turn" | "stun" = "turn") {
    const world = new World(create);
    const listener = await world.listen({ mode });
    const client = await world.udp();
    const peer = await world.udp();
    return { world, listener, client, peer };
  }

  describe("what the table cannot answer goes up", () => {
    test("a STUN request, with where it came from", async () => {
      const { world, listener, client } = await given();
      const request = binding();
      await client.send(listener.local, request);
      const event = await world.event("client-input");
      expect(event.client).toEqual(tuple(listener, client));
      expect(event.bytes).toEqual(request);
      expect(world.plane.counters().slowPath).toBe(1);
    });

    test("over IPv6 too", async () => {
      const world = new World(create);
      const listener = await world.listen({ local: { ip: LOOPBACK[6], port: 0 } });
      const client = await world.udp(LOOPBACK[6]);
      await client.send(listener.local, binding());
      expect((await world.event("client-input")).client).toEqual(tuple(listener, client));
    });

    test("a request of RFC 3489, which has no magic cookie", async () => {
      const { world, listener, client } = await given();
      const request = binding().subarray(0, 20);
      request.writeUInt16BE(0, 2);
      request.fill(7, 4);
      await client.send(listener.local, request);
      expect((await world.event("client-input")).bytes).toEqual(request);
    });

    test("ChannelData on a channel that is not bound", async () => {
      const { world, listener, client } = await given();
      await client.send(listener.local, channelData(0x4abc, "hello"));
      expect((await world.event("client-input")).bytes).toEqual(Buffer.from(channelData(0x4abc, "hello")));
    });

    test("a Send indication that is not a plain one", async () => {
      const { world, listener, client } = await given();
      const indication = encodeMessage({
        method: Method.Send,
        class: MessageClass.Indication,
        transactionId: Buffer.alloc(12, 1),
        attributes: [rawAttribute(0x7777, Buffer.of(1, 2, 3, 4))],
      });
      await client.send(listener.local, indication);
      expect((await world.event("client-input")).bytes).toEqual(Buffer.from(indication));
    });

    describe("where clients may come from another address", () => {
      test.each(["udp", "tcp"] as const)("a Send indication over %s of one that owns nothing", async (transport) => {
        const world = new World(create, { clientsMove: true });
        const listener = await world.listen({ transport });
        const peer = await world.udp();
        const indication = send(peer.address, "from elsewhere");
        if (transport === "udp") await (await world.udp()).send(listener.local, indication);
        else await (await world.connect(listener)).write(indication);
        expect((await world.event("client-input")).bytes).toEqual(Buffer.from(indication));
        await world.expectDropped({});
        await peer.expectSilence();
      });

      test("but none of one that owns something", async () => {
        const world = new World(create, { clientsMove: true });
        const listener = await world.listen();
        const [client, peer6] = [await world.udp(), await world.udp(LOOPBACK[6])];
        await world.allocation(tuple(listener, client));
        await client.send(listener.local, send(peer6.address, "of the other family"));
        await world.expectDropped({ "no-allocation": 1 });
        expect(world.plane.counters().slowPath).toBe(0);
      });
    });

    test("several at once, each with its own bytes", async () => {
      const { world, listener, client } = await given();
      const requests = Array.from({ length: 20 }, binding);
      await Promise.all(requests.map((request) => client.send(listener.local, request)));
      for (const request of requests) expect((await world.event("client-input")).bytes).toEqual(request);
    });
  });

  describe("a reply", () => {
    test("reaches the client from the listener's address", async () => {
      const { world, listener, client } = await given();
      world.apply({ type: "send", to: "client", client: tuple(listener, client), bytes: Buffer.from("reply") });
      expect(await client.next()).toEqual({ data: Buffer.from("reply"), from: listener.local });
    });

    test("may leave from another listener than the request came in by", async () => {
      const { world, client } = await given("stun");
      const other = await world.listen({ mode: "stun" });
      world.apply({ type: "send", to: "client", client: tuple(other, client), bytes: Buffer.from("reply") });
      expect((await client.next()).from).toEqual(other.local);
    });

    test("by a listener that is not open is dropped", async () => {
      const { world, client } = await given();
      const nowhere = { listener: 999, remote: client.address };
      world.apply({ type: "send", to: "client", client: nowhere, bytes: Buffer.from("reply") });
      await world.expectDropped({ "unknown-client": 1 });
    });
  });

  describe("malformed datagrams are dropped and counted", () => {
    const truncated = binding();
    const claiming = Buffer.from(channelData(0x4001, "hello"));
    claiming.writeUInt16BE(6, 2);

    test.each([
      ["an empty one", Buffer.of()],
      ["a single byte", Buffer.of(0)],
      ["not STUN, not ChannelData", Buffer.from("GET / HTTP/1.1\r\n\r\n")],
      ["a channel number that is none", Buffer.of(0x80, 0, 0, 0)],
      ["a STUN header only in part", truncated.subarray(0, 19)],
      ["a truncated STUN message", truncated.subarray(0, truncated.length - 4)],
      ["a STUN message with bytes after it", Buffer.concat([truncated, Buffer.alloc(4)])],
      ["half a ChannelData header", Buffer.of(0x40, 1, 0)],
      ["a ChannelData length beyond the datagram", claiming],
      ["a claim of 64 KiB", Buffer.of(0x40, 1, 0xff, 0xff)],
    ])("%s", async (_, datagram) => {
      const { world, listener, client, peer } = await given();
      const relay = await world.allocation(tuple(listener, client));
      world.permit(relay.id, LOOPBACK[4]);
      world.channel(relay.id, 0x4001, peer.address);
      await client.send(listener.local, datagram);
      await world.expectDropped({ malformed: 1 });

      await client.send(listener.local, channelData(0x4001, "after it"));
      expect((await peer.next()).data.toString()).toBe("after it");
      expect(world.plane.counters().slowPath).toBe(0);
    });
  });

  test("whatever bytes come, from clients and from peers, it goes on", async () => {
    const { world, listener, client, peer } = await given();
    const relay = await world.allocation(tuple(listener, client));
    world.permit(relay.id, LOOPBACK[4]);
    const stun = (tail: Uint8Array) => {
      const message = Buffer.concat([send(peer.address, "x").subarray(0, 20), tail]);
      message.writeUInt16BE(tail.length, 2);
      return message;
    };
    const datagram = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.uint8Array({ minLength: 1, maxLength: 100 }).map((tail) => Buffer.concat([Buffer.of(0x40), tail])),
      fc.uint8Array({ maxLength: 100 }).map(stun),
    );
    await fc.assert(
      fc.asyncProperty(datagram, async (bytes) => {
        await client.send(listener.local, bytes);
        await peer.send(relay.address, bytes);
        const received = await client.next();
        expect(dataIndication(received.data)?.peer).toEqual(peer.address);
      }),
      { numRuns: 500 },
    );
    await client.send(listener.local, send(peer.address, "after all"));
    for (;;) if ((await peer.next()).data.toString() === "after all") break;
  });

  describe("a listener in STUN mode", () => {
    test("hands every STUN message up and relays nothing", async () => {
      const { world, listener, client, peer } = await given("stun");
      const relay = await world.allocation(tuple(listener, client));
      world.permit(relay.id, LOOPBACK[4]);
      world.channel(relay.id, 0x4001, peer.address);
      await client.send(listener.local, channelData(0x4001, "hello"));
      const indication = Buffer.from(send(peer.address, "hello"));
      await client.send(listener.local, indication);
      const request = binding();
      await client.send(listener.local, request);
      expect((await world.event("client-input")).bytes).toEqual(indication);
      expect((await world.event("client-input")).bytes).toEqual(request);
      await world.expectDropped({ "no-channel": 1 });
      await peer.expectSilence();
    });
  });
}
