import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { createDataPlane, createNativeDataPlane } from "@culvert/dataplane";
import { Attr, decodeMessage, MessageClass } from "@culvert/stun";
import { describe, expect, onTestFinished, test } from "vitest";
import { loadBinding } from "../src/native/load.ts";
import { binding, channelData, send } from "./contract/messages.ts";
import { UdpEndpoint } from "./contract/udp-endpoint.ts";
import { POLLING, tuple, World } from "./contract/world.ts";

/** Milliseconds until what a test waits for. */
const SOON = 100;

const open = (limits: object, workers = 2) => {
  const plane = createNativeDataPlane({ clock: Date.now, workers, answersBindings: true, ...limits });
  return { plane, now: Date.now, advance: () => {} };
};

describe.runIf(loadBinding().ok)("the native data plane", () => {
  test.each(["127.0.0.1", "::1"])(
    "answers Binding requests from %s, with a FINGERPRINT where the request has one",
    async (ip) => {
      const world = new World(open);
      const listener = await world.listen({ local: { ip, port: 0 } });
      const client = await world.udp(ip);
      const signed = binding();
      const plain = Buffer.from(signed.subarray(0, 20));
      plain.writeUInt16BE(0, 2);
      for (const request of [plain, signed]) {
        await client.send(listener.local, request);
        const { data, from } = await client.next();
        expect(from).toEqual(listener.local);
        const decoded = decodeMessage(data);
        if (!decoded.ok) throw new Error("not a STUN message");
        const { message } = decoded;
        expect(message.class).toBe(MessageClass.Success);
        expect(Buffer.from(message.transactionId)).toEqual(request.subarray(8, 20));
        expect(message.get(Attr.XorMappedAddress)).toEqual(client.address);
        expect(message.has(Attr.Fingerprint)).toBe(request === signed);
      }
      expect(world.plane.counters()).toMatchObject({ bindings: 2, slowPath: 0 });
    },
  );

  test("hands other Binding requests up, and all of a listener that only serves STUN", async () => {
    const world = new World(open);
    const [turn, stun] = [await world.listen(), await world.listen({ mode: "stun" })];
    const client = await world.udp();
    const damaged = binding();
    damaged.writeUInt8(damaged.readUInt8(27) ^ 1, 27);
    await client.send(turn.local, damaged);
    expect((await world.event("client-input")).bytes).toEqual(damaged);
    const request = binding();
    await client.send(stun.local, request);
    expect((await world.event("client-input")).bytes).toEqual(request);
    expect(world.plane.counters()).toMatchObject({ bindings: 0, slowPath: 2 });
  });

  test.each(["127.0.0.1", "::1"])("tells of ICMP errors from permitted peers on %s, and goes on", async (ip) => {
    const world = new World(open);
    const listener = await world.listen({ local: { ip, port: 0 } });
    const [client, gone, peer] = [await world.udp(ip), await UdpEndpoint.open(ip), await world.udp(ip)];
    const relay = await world.allocation(tuple(listener, client), { ip });
    world.permit(relay.id, ip);
    const { address } = gone;
    await gone.close();
    await client.send(listener.local, send(address, "anybody there?"));
    const event = await world.event("peer-error");
    const icmp = ip === "::1" ? { type: 1, code: 4, data: 0 } : { type: 3, code: 3, data: 0 };
    expect(event).toEqual({ type: "peer-error", relay: relay.id, peer: address, icmp });
    await client.send(listener.local, send(peer.address, "hello"));
    expect((await peer.next()).data.toString()).toBe("hello");
    await world.expectDropped({});
  });

  test("relays every packet of many clients over four workers, each to its own peer", async () => {
    const world = new World((limits) => open(limits, 4));
    const listener = await world.listen();
    const flows = await Promise.all(
      Array.from({ length: 12 }, async () => ({ client: await world.udp(), peer: await world.udp() })),
    );
    for (const [i, { client, peer }] of flows.entries()) {
      const relay = await world.allocation(tuple(listener, client));
      world.permit(relay.id, "127.0.0.1");
      world.channel(relay.id, 0x4000 + i, peer.address);
    }
    const count = 50;
    await Promise.all(
      flows.flatMap(({ client }, i) =>
        Array.from({ length: count }, (_, n) => client.send(listener.local, channelData(0x4000 + i, `${i} ${n}`))),
      ),
    );
    for (const [i, { peer }] of flows.entries()) {
      const texts = (await peer.inbox.take(count)).map(({ data }) => data.toString());
      expect(texts).toEqual(Array.from({ length: count }, (_, n) => `${i} ${n}`));
    }
  });

  test("serves a TCP client and a UDP client that reach each other by their relays", async () => {
    const world = new World(open);
    const [udp, tcp] = [await world.listen(), await world.listen({ transport: "tcp" })];
    const [one, other] = [await world.udp(), await world.connect(tcp)];
    const relay = await world.allocation(tuple(udp, one));
    const otherRelay = await world.allocation(tuple(tcp, other));
    for (const { id } of [relay, otherRelay]) world.permit(id, "127.0.0.1");
    world.channel(otherRelay.id, 0x4001, relay.address);
    await one.send(udp.local, send(otherRelay.address, "over to TCP"));
    expect(await other.next()).toEqual(Buffer.from(channelData(0x4001, "over to TCP")));
    expect(world.plane.relayCounters(otherRelay.id)).toMatchObject({ packetsToClient: 1, bytesToClient: 11 });
  });

  test("with a running clock stops at a deadline, commands or not", async () => {
    const world = new World(open);
    const listener = await world.listen();
    const [client, peer] = [await world.udp(), await world.udp()];
    const relay = await world.allocation(tuple(listener, client));
    world.permit(relay.id, "127.0.0.1");
    await client.send(listener.local, send(peer.address, "in time"));
    expect((await peer.next()).data.toString()).toBe("in time");
    world.permit(relay.id, "127.0.0.1", { deadline: Date.now() + SOON });
    await expect
      .poll(async () => {
        await client.send(listener.local, send(peer.address, "too late?"));
        return world.plane.counters().dropped.expired;
      }, POLLING)
      .toBeGreaterThan(0);
  });

  test("with a running clock stops at a lease's end, commands or not", async () => {
    const world = new World(open);
    const listener = await world.listen();
    const [client, peer] = [await world.udp(), await world.udp()];
    const relay = await world.relay("127.0.0.1", { lease: 1 });
    world.apply({ type: "lease", lease: 1, deadline: world.deadline });
    world.allocate(relay.id, tuple(listener, client));
    world.permit(relay.id, "127.0.0.1");
    await client.send(listener.local, send(peer.address, "in time"));
    expect((await peer.next()).data.toString()).toBe("in time");
    world.apply({ type: "lease", lease: 1, deadline: Date.now() + SOON });
    await expect
      .poll(async () => {
        await client.send(listener.local, send(peer.address, "too late?"));
        await peer.send(relay.address, "too late?");
        return world.plane.counters().dropped.fenced;
      }, POLLING)
      .toBeGreaterThan(1);
  });

  test("keeps no process alive once it is closed", async () => {
    const fixture = fileURLToPath(new URL("./fixtures/open-and-close.ts", import.meta.url));
    const child = spawn(process.execPath, ["--conditions=development", "--import", "tsx", fixture], {
      stdio: "inherit",
    });
    onTestFinished(() => void child.kill());
    expect(await once(child, "exit")).toEqual([0, null]);
  });

  test("is what auto comes to when it is built", async () => {
    const told: string[] = [];
    const plane = createDataPlane({
      kind: "auto",
      clock: Date.now,
      answersBindings: true,
      onPortable: (why) => told.push(why),
    });
    onTestFinished(() => plane.close());
    const world = new World(() => ({ plane, now: Date.now, advance: () => {} }));
    const listener = await world.listen();
    const client = await world.udp();
    await client.send(listener.local, binding());
    await client.next();
    expect(plane.counters().bindings).toBe(1);
    expect(told).toEqual([]);
  });
});
