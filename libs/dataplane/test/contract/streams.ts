import type { DataPlaneLimits } from "@culvert/dataplane";
import { describe, expect, test } from "vitest";
import { CERTIFICATES } from "./certificates.ts";
import { binding, channelData, dataIndication, paddedChannelData, send } from "./messages.ts";
import type { ConnectOptions, StreamEndpoint } from "./stream-endpoint.ts";
import { type CreateHarness, LOOPBACK, POLLING, tuple, World } from "./world.ts";

const CHANNEL = 0x4001;
/** Short, for what a test waits for, yet long enough for what must not time out before. */
const SOON = 150;

interface Kind {
  readonly name: string;
  readonly transport: "tcp" | "tls";
  readonly ip: string;
  readonly options: ConnectOptions;
}

const KINDS: readonly Kind[] = [
  { name: "TCP", transport: "tcp", ip: LOOPBACK[4], options: {} },
  { name: "TCP on IPv6", transport: "tcp", ip: LOOPBACK[6], options: {} },
  { name: "TLS 1.2", transport: "tls", ip: LOOPBACK[4], options: { tls: { maxVersion: "TLSv1.2" } } },
  { name: "TLS 1.3", transport: "tls", ip: LOOPBACK[6], options: { tls: { minVersion: "TLSv1.3" } } },
];

export function streams(create: CreateHarness): void {
  describe.each(KINDS)("over $name", ({ transport, ip, options }) => {
    async function given(limits: Partial<DataPlaneLimits> = {}) {
      const world = new World(create, limits);
      const { certificate } = await CERTIFICATES;
      const listener = await world.listen({ transport, local: { ip, port: 0 }, certificate });
      const connect = (more: ConnectOptions = {}) => world.connect(listener, { ...options, ...more });
      const client = await connect();
      return { world, listener, connect, client };
    }

    async function givenChannel(limits: Partial<DataPlaneLimits> = {}) {
      const all = await given(limits);
      const { world, listener, client } = all;
      const peer = await world.udp();
      const relay = await world.allocation(tuple(listener, client));
      world.permit(relay.id, LOOPBACK[4]);
      world.channel(relay.id, CHANNEL, peer.address);
      return { ...all, peer, relay };
    }

    /** The data plane has taken the connection up once a message has come through it. */
    async function speak({ world, listener, client }: Awaited<ReturnType<typeof given>>, by: StreamEndpoint = client) {
      await by.write(binding());
      expect((await world.event("client-input")).client).toEqual(tuple(listener, by));
    }

    test("a request goes up, and its reply comes back", async () => {
      const { world, listener, client } = await given();
      const request = binding();
      await client.write(request);
      const event = await world.event("client-input");
      expect(event).toEqual({ type: "client-input", client: tuple(listener, client), bytes: request });
      const reply = binding();
      world.apply({ type: "send", to: "client", client: event.client, bytes: reply });
      expect(await client.next()).toEqual(reply);
    });

    test.each([0, 1, 2, 3, 4, 5, 1200, 60_000])("ChannelData of %i bytes passes both ways, padded", async (length) => {
      const { client, peer, relay } = await givenChannel();
      const data = Buffer.alloc(length, "d");
      await client.write(Buffer.concat([paddedChannelData(CHANNEL, data), paddedChannelData(CHANNEL, "next")]));
      expect((await peer.next()).data.equals(data)).toBe(true);
      expect((await peer.next()).data.toString()).toBe("next");
      await peer.send(relay.address, data);
      await peer.send(relay.address, "next");
      expect((await client.next()).equals(channelData(CHANNEL, data))).toBe(true);
      expect(await client.next()).toEqual(Buffer.from(channelData(CHANNEL, "next")));
    });

    test("Send and Data pass", async () => {
      const { world, client, relay } = await givenChannel();
      const other = await world.udp();
      await client.write(send(other.address, "hello"));
      expect(await other.next()).toEqual({ data: Buffer.from("hello"), from: relay.address });
      await other.send(relay.address, "back");
      expect(dataIndication(await client.next())).toEqual({ peer: other.address, data: "back" });
    });

    test("messages may come in any pieces", async () => {
      const { world, client, peer } = await givenChannel();
      const request = binding();
      const all = Buffer.concat([paddedChannelData(CHANNEL, "one"), request, paddedChannelData(CHANNEL, "three")]);
      for (const byte of all) await client.write(Buffer.of(byte));
      expect((await peer.next()).data.toString()).toBe("one");
      expect((await world.event("client-input")).bytes).toEqual(request);
      expect((await peer.next()).data.toString()).toBe("three");

      await client.write(Buffer.concat([all, all, all]));
      const pieces = (await peer.inbox.take(6)).map(({ data }) => data.toString());
      expect(pieces).toEqual(["one", "three", "one", "three", "one", "three"]);
    });

    test("garbage closes the stream, and the others go on", async () => {
      const all = await given();
      const other = await all.connect();
      await all.client.write(Buffer.from("8060000100000000deadbeef", "hex"));
      await all.client.ended;
      await all.world.expectDropped({ "stream-framing": 1 });
      await speak(all, other);
    });

    test("garbage after a message ends the client once", async () => {
      const all = await given();
      await speak(all);
      await all.client.write(Buffer.alloc(100, 0xff));
      await all.client.ended;
      expect((await all.world.event("client-closed")).client).toEqual(tuple(all.listener, all.client));
      await all.world.expectDropped({ "stream-framing": 1 });
    });

    test("a message that stays incomplete at the end of the stream is no message", async () => {
      const { world, client } = await given();
      await client.write(binding().subarray(0, 22));
      client.socket.end();
      await client.ended;
      await world.expectDropped({ "stream-framing": 1 });
    });

    test("a message that drips in closes the stream, a claim of 64 KiB and an allocation or not", async () => {
      const { world, listener, client } = await givenChannel({ streamFrameMs: SOON });
      await client.write(binding());
      await client.write(Buffer.of(0x40, 1, 0xff, 0xff));
      const drip = setInterval(() => client.socket.write(Buffer.of(1)), 10);
      await client.ended;
      clearInterval(drip);
      await world.expectDropped({ "stream-idle": 1 });
      expect((await world.event("client-closed")).client).toEqual(tuple(listener, client));
    });

    test("a client that says nothing is closed", async () => {
      const { world, client } = await given({ streamFirstMessageMs: 500 });
      await client.ended;
      await world.expectDropped({ "stream-idle": 1 });
      await expect.poll(() => world.plane.counters().streams, POLLING).toBe(0);
    });

    test("a client without an allocation is closed when idle, one with an allocation is not", async () => {
      const all = await givenChannel({ streamIdleMs: SOON });
      const { world, client, connect, peer, relay } = all;
      await speak(all);
      for (let i = 0; i < 3; i++) {
        const idle = await connect();
        await speak(all, idle);
        await idle.ended;
        expect((await world.event("client-closed")).client.remote).toEqual(idle.address);
      }
      await peer.send(relay.address, "still there");
      expect(await client.next()).toEqual(Buffer.from(channelData(CHANNEL, "still there")));
      await world.expectDropped({ "stream-idle": 3 });
    });

    test.each([
      ["ends", (client: StreamEndpoint) => client.socket.end()],
      ["goes away", (client: StreamEndpoint) => client.socket.destroy()],
    ])("a client that %s is closed once", async (_, leave) => {
      const all = await given({ streamHalfCloseMs: 10 });
      await speak(all);
      leave(all.client);
      const other = await all.connect();
      expect((await all.world.event("client-closed")).client).toEqual(tuple(all.listener, all.client));
      await speak(all, other);
      other.destroy();
      expect((await all.world.event("client-closed")).client).toEqual(tuple(all.listener, other));
      expect(all.world.plane.counters().streams).toBe(0);
    });

    test("a client that has ended its side still gets the reply", async () => {
      const { world, client } = await given();
      client.socket.end(binding());
      const event = await world.event("client-input");
      const reply = binding();
      world.apply({ type: "send", to: "client", client: event.client, bytes: reply });
      expect(await client.next()).toEqual(reply);
    });

    test("the close command closes after what was sent before it", async () => {
      const all = await given();
      const { world, listener, client } = all;
      await speak(all);
      const reply = binding();
      world.apply(
        { type: "send", to: "client", client: tuple(listener, client), bytes: reply },
        { type: "close", client: tuple(listener, client) },
        { type: "close", client: tuple(listener, client) },
      );
      expect(await client.next()).toEqual(reply);
      await client.ended;
      client.socket.end();
      expect((await world.event("client-closed")).client).toEqual(tuple(listener, client));
      world.apply(
        { type: "close", client: tuple(listener, client) },
        { type: "send", to: "client", client: tuple(listener, client), bytes: reply },
      );
      await world.expectDropped({ "unknown-client": 1 });
    });

    test("a client that goes on after the close command is not heard, and is closed all the same", async () => {
      const all = await given({ streamHalfCloseMs: SOON });
      await speak(all);
      all.world.apply({ type: "close", client: tuple(all.listener, all.client) });
      await all.client.ended;
      await all.client.write(binding());
      expect((await all.world.event("client-closed")).client).toEqual(tuple(all.listener, all.client));
      expect(all.world.plane.counters()).toMatchObject({ streams: 0, slowPath: 1 });
    });

    test("who comes from the address of a client that is gone does not get its relay", async () => {
      const all = await givenChannel({ streamHalfCloseMs: 10 });
      const { world, client, connect, peer, relay } = all;
      await speak(all);
      if (transport === "tls") client.destroy();
      else client.socket.resetAndDestroy();
      await world.event("client-closed");
      await peer.send(relay.address, "to nobody");
      await world.expectDropped({ "no-allocation": 1 });
      if (transport === "tls") return; // No TLS client can reset its connection, and so its port stays taken for a while.

      const stranger = await connect({ localPort: client.address.port });
      expect(stranger.address).toEqual(client.address);
      await stranger.write(send(peer.address, "by the other's relay"));
      await peer.send(relay.address, "for the other");
      await world.expectDropped({ "no-allocation": 3 });
      await peer.expectSilence();
    });

    test("more streams of one source than allowed are refused, until one is gone", async () => {
      const all = await given({ maxStreamsPerSource: 2, streamHalfCloseMs: 10 });
      const { world, client, listener } = all;
      await speak(all);
      const second = await all.connect();
      await speak(all, second);
      const refused = await all.connect().catch(() => undefined);
      await refused?.ended;
      await world.expectDropped({ "stream-limit": 1 });
      expect(world.plane.counters().streams).toBe(2);
      client.destroy();
      expect((await world.event("client-closed")).client).toEqual(tuple(listener, client));
      await speak(all, await all.connect());
    });

    test("more streams than allowed are refused", async () => {
      const { world, connect } = await given({ maxStreams: 1 });
      const refused = await connect().catch(() => undefined);
      await refused?.ended;
      await world.expectDropped({ "stream-limit": 1 });
    });

    test("data for a client that does not read is dropped, and replies still reach it", async () => {
      const all = await givenChannel({ streamQueueBytes: 64 * 1024, streamHardQueueBytes: 4 * 1024 * 1024 });
      const { world, listener, client, peer, relay } = all;
      await speak(all);
      client.socket.pause();
      const data = Buffer.alloc(50_000, "d");
      while (world.plane.counters().dropped["back-pressure"] === 0) {
        const before = packets(world);
        await peer.send(relay.address, data);
        await expect.poll(() => packets(world), POLLING).toBeGreaterThan(before);
      }
      const relayed = world.plane.counters().packetsToClients;
      const reply = binding();
      world.apply({ type: "send", to: "client", client: tuple(listener, client), bytes: reply });
      client.socket.resume();
      const frames = await client.frames.take(relayed + 1);
      expect(frames.slice(0, -1).every((frame) => frame.length === data.length + 4)).toBe(true);
      expect(frames.at(-1)).toEqual(reply);
    });

    test("a client that does not read its replies is closed in the end", async () => {
      const all = await given({ streamHardQueueBytes: 256 * 1024 });
      const { world, listener, client } = all;
      await speak(all);
      client.socket.pause();
      const reply = Buffer.alloc(50_000);
      while (world.plane.counters().dropped["back-pressure"] === 0) {
        world.apply({ type: "send", to: "client", client: tuple(listener, client), bytes: reply });
        await new Promise(setImmediate);
      }
      expect((await world.event("client-closed")).client).toEqual(tuple(listener, client));
      await world.expectDropped({ "back-pressure": 1 });
    });

    test("a listener in STUN mode hands STUN messages up and drops the rest", async () => {
      const world = new World(create);
      const { certificate } = await CERTIFICATES;
      const listener = await world.listen({ transport, local: { ip, port: 0 }, certificate, mode: "stun" });
      const client = await world.connect(listener, options);
      const request = binding();
      await client.write(Buffer.concat([paddedChannelData(CHANNEL, "hello"), request]));
      expect((await world.event("client-input")).bytes).toEqual(request);
      await world.expectDropped({ "no-channel": 1 });
    });
  });
}

/** What has come for the client, passed or not. */
function packets(world: World): number {
  const { packetsToClients, dropped } = world.plane.counters();
  return packetsToClients + dropped["back-pressure"];
}
