import { encodeMessage, MessageClass, Method } from "@culvert/stun";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { clientFrame, Member, peerFrame, Rogue } from "./mesh-world.ts";
import { channelData, send } from "./messages.ts";
import { type CreateHarness, LOOPBACK, tuple } from "./world.ts";

const CHANNEL = 0x4001;
const PEER = 3;
const IP = LOOPBACK[4];
const REQUEST = encodeMessage({
  method: Method.Refresh,
  class: MessageClass.Request,
  transactionId: Buffer.alloc(12, 1),
});

/** What a member of a mesh takes from nobody. */
export function meshAttacks(create: CreateHarness): void {
  async function given() {
    const member = new Member(create);
    const listener = await member.listen();
    await member.join([listener]);
    const rogue = await Rogue.join(member, PEER);
    return { member, listener, rogue };
  }

  /** The member has done nothing, has not answered, and goes on. */
  async function expectIgnored({ member, rogue }: Awaited<ReturnType<typeof given>>) {
    await rogue.endpoint.expectSilence();
    expect(member.plane.counters()).toMatchObject({ slowPath: 0, mesh: { packetsSent: 0 } });
    const good = member.plane.counters().mesh.packetsReceived;
    await rogue.send(member, rogue.control(member, "after it"));
    expect((await member.event("mesh-control")).bytes).toEqual(Buffer.from("after it"));
    expect(member.plane.counters().mesh.packetsReceived).toBe(good + 1);
  }

  describe("a datagram on the mesh's port is dropped without an answer", () => {
    test("that is nothing of the mesh's", async () => {
      const all = await given();
      const datagrams = [Buffer.of(), Buffer.of(0xc1), Buffer.from(REQUEST), Buffer.alloc(1000, 0xc2)];
      for (const datagram of datagrams) await all.rogue.send(all.member, datagram);
      await all.member.expectDropped({ "mesh-auth": 4 });
      await expectIgnored(all);
    });

    test("that is cut short, at whatever byte", async () => {
      const all = await given();
      const whole = all.rogue.control(all.member, "x");
      for (let length = 0; length < whole.length; length++) await all.rogue.send(all.member, whole.subarray(0, length));
      await all.member.expectDropped({ "mesh-auth": whole.length });
      await expectIgnored(all);
    });

    test("of which one bit is another, whichever", async () => {
      const all = await given();
      const whole = all.rogue.control(all.member, "x");
      for (let bit = 0; bit < 8 * whole.length; bit++) {
        const damaged = Buffer.from(whole);
        damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        await all.rogue.send(all.member, damaged);
      }
      // Five bytes name the sender.
      await all.member.expectDropped({ "mesh-auth": 8 * (whole.length - 5), "mesh-unknown": 8 * 5 });
      await expectIgnored(all);
    });

    test("that is longer than what was sealed", async () => {
      const all = await given();
      const whole = all.rogue.control(all.member, "x");
      await all.rogue.send(all.member, Buffer.concat([whole, Buffer.of(0)]));
      await all.member.expectDropped({ "mesh-auth": 1 });
      await expectIgnored(all);
    });

    test("that is forged under another secret, or under one that is no longer in use", async () => {
      const all = await given();
      const other = Buffer.alloc(32, "somebody else's ");
      await all.rogue.send(all.member, all.rogue.control(all.member, "x", { secret: other }));
      await all.member.expectDropped({ "mesh-auth": 1 });
      await all.rogue.send(all.member, all.rogue.control(all.member, "before"));
      await all.member.event("mesh-control");
      all.member.plane.setMeshSecrets([other]);
      await all.rogue.send(all.member, all.rogue.control(all.member, "after"));
      await all.member.expectDropped({ "mesh-auth": 2 });
      await all.rogue.endpoint.expectSilence();
    });

    test("that was taken before, from whatever address it comes again", async () => {
      const all = await given();
      const datagram = all.rogue.control(all.member, "once");
      await all.rogue.send(all.member, datagram);
      await all.member.event("mesh-control");
      await all.rogue.send(all.member, datagram);
      await (await all.member.udp()).send(all.member.mesh, datagram);
      await all.member.expectDropped({ "mesh-replay": 2 });
      await expectIgnored(all);
    });

    test("that is too old to tell, but not one that was overtaken by a thousand", async () => {
      const all = await given();
      const { member, rogue } = all;
      const at = (counter: number, worker = 0) =>
        rogue.control(member, `${counter}`, { counter: BigInt(counter), worker });
      for (const counter of [100_000, 98_977, 99_999]) {
        await rogue.send(member, at(counter));
        expect((await member.event("mesh-control")).bytes.toString()).toBe(`${counter}`);
      }
      await rogue.send(member, at(90_000));
      await rogue.send(member, at(98_977));
      await member.expectDropped({ "mesh-replay": 2 });
      await rogue.send(member, at(90_000, 1));
      expect((await member.event("mesh-control")).bytes.toString()).toBe("90000");
      await expectIgnored(all);
    });

    test("whose damaged twin came first is taken all the same", async () => {
      const { member, rogue } = await given();
      const whole = rogue.control(member, "x");
      const damaged = Buffer.from(whole);
      damaged.writeUInt8(damaged.readUInt8(20) ^ 1, 20);
      await rogue.send(member, damaged);
      await member.expectDropped({ "mesh-auth": 1 });
      await rogue.send(member, whole);
      await member.event("mesh-control");
    });

    test("of a relay that is not registered, or not any more", async () => {
      const { member, rogue } = await given();
      const stranger = await Rogue.join(member);
      await stranger.send(member, stranger.control(member, "x"));
      await member.expectDropped({ "mesh-unknown": 1 });
      member.apply({ type: "mesh-peer-gone", peer: PEER });
      await rogue.send(member, rogue.control(member, "x"));
      await member.expectDropped({ "mesh-unknown": 2 });
      await rogue.endpoint.expectSilence();
      await stranger.endpoint.expectSilence();
    });

    test("that is the member's own, reflected", async () => {
      const all = await given();
      const { member, rogue } = all;
      member.apply({ type: "mesh-send", peer: PEER, bytes: Buffer.from("to the rogue") });
      const { data } = await rogue.endpoint.next();
      await rogue.send(member, data);
      await member.expectDropped({ "mesh-unknown": 1 });
      // Nor is it heard when it is told to hear itself.
      member.register(9, { instance: member.instance, mesh: rogue.endpoint.address });
      await rogue.send(member, data);
      await member.expectDropped({ "mesh-unknown": 2 });
      await rogue.send(member, rogue.control(member, "x", { sender: member.instance }));
      await member.expectDropped({ "mesh-unknown": 3 });
      await rogue.endpoint.expectSilence();
    });

    test("that was sealed for another member", async () => {
      const all = await given();
      const other = { instance: "00".repeat(16) };
      await all.rogue.send(all.member, all.rogue.control(other, "x"));
      await all.member.expectDropped({ "mesh-auth": 1 });
      await expectIgnored(all);
    });
  });

  describe("a frame of a registered relay is refused", () => {
    test.each([
      ["of a kind that there is not", [Buffer.of(5, 1, 2, 3)]],
      ["of control in a form that there is not", [Buffer.of(0x84, 1)]],
      ["that ends within its addresses", [Buffer.of(1, 0, 1, 0, 0, 0, 0, 127, 0, 0)]],
      ["of a peer that ends within its addresses", [Buffer.of(0x83, ...Buffer.alloc(35))]],
    ])("%s", async (_, frame) => {
      const all = await given();
      await all.rogue.send(all.member, all.rogue.seal(all.member, frame));
      await all.member.expectDropped({ "mesh-refused": 1 });
      await expectIgnored(all);
    });

    const client = { ip: IP, port: 9999 };
    test.each([
      ["about a frontend that is not here", { client, bytes: REQUEST, frontend: "another" }],
      ["about a frontend for streams, of which there is none", { client, bytes: REQUEST, transport: "tcp" as const }],
      ["about a client of the other family", { client: { ip: "::1", port: 9999 }, bytes: REQUEST }],
      ["about a client without a port", { client: { ip: IP, port: 0 }, bytes: REQUEST }],
    ])("%s", async (_, frame) => {
      const all = await given();
      for (const kind of ["client-packet", "client-reply"] as const) {
        await all.rogue.send(all.member, all.rogue.seal(all.member, clientFrame(kind, frame)));
      }
      await all.member.expectDropped({ "mesh-refused": 2 });
      await expectIgnored(all);
    });

    test("that answers a client of whom it was told nothing, or of whom another was", async () => {
      const all = await given();
      const { member, listener, rogue } = all;
      const client = await member.udp();
      const answer = () => rogue.seal(member, clientFrame("client-reply", { client: client.address, bytes: REQUEST }));
      await rogue.send(member, answer());
      await member.expectDropped({ "mesh-refused": 1 });
      await Rogue.join(member, PEER + 1);
      member.foreign(tuple(listener, client), PEER + 1);
      await rogue.send(member, answer());
      await member.expectDropped({ "mesh-refused": 2 });
      await client.expectSilence();
      await expectIgnored(all);
    });

    test("in the name of a client whose connection ends here", async () => {
      const { member, rogue } = await given();
      const other = new Member(create);
      const listener = await other.listen({ transport: "tcp" });
      await other.join([listener]);
      other.apply({ type: "mesh-peer", peer: PEER, instance: rogue.instance, address: rogue.endpoint.address });
      const stream = await other.connect(listener);
      await stream.write(Buffer.from(REQUEST));
      await other.event("client-input");
      const frame = clientFrame("client-packet", { transport: "tcp", client: stream.address, bytes: REQUEST });
      await rogue.send(other, rogue.seal(other, frame));
      await other.expectDropped({ "mesh-refused": 1 });
      expect(member.plane.counters().mesh.packetsReceived).toBe(0);
    });

    test("of a peer, where no relayed address is shared", async () => {
      const all = await given();
      const { member, listener, rogue } = all;
      const [client, peer] = [await member.udp(), await member.udp()];
      const relay = await member.allocation(tuple(listener, client));
      member.permit(relay.id, IP);
      await rogue.send(member, rogue.seal(member, peerFrame(relay.address, peer.address, "in a peer's name")));
      await member.expectDropped({ "mesh-refused": 1 });
      await client.expectSilence();
      await expectIgnored(all);
    });
  });

  test("what a registered relay says of a client is taken as the client's own, with no more rights", async () => {
    const { member, listener, rogue } = await given();
    const [client, peer] = [await member.udp(), await member.udp()];
    const relay = await member.allocation(tuple(listener, client));
    member.channel(relay.id, CHANNEL, peer.address);
    for (const bytes of [channelData(CHANNEL, "x"), send(peer.address, "x")]) {
      await rogue.send(member, rogue.seal(member, clientFrame("client-packet", { client: client.address, bytes })));
    }
    await member.expectDropped({ "no-permission": 2 });
    await rogue.send(
      member,
      rogue.seal(member, clientFrame("client-packet", { client: client.address, bytes: Buffer.from("not STUN") })),
    );
    await member.expectDropped({ "no-permission": 2, malformed: 1 });
    await peer.expectSilence();
  });

  test("clients reach the mesh by no relay: not the own port, nor that of another member", async () => {
    const { member, listener, rogue } = await given();
    const client = await member.udp();
    const relay = await member.allocation(tuple(listener, client));
    const targets = [member.mesh, rogue.endpoint.address];
    member.permit(relay.id, IP);
    for (const [i, target] of targets.entries()) {
      member.channel(relay.id, CHANNEL + i, target);
      await client.send(listener.local, channelData(CHANNEL + i, "on a channel"));
      await client.send(listener.local, send(target, "sent"));
      member.apply({ type: "send", to: "peer", relay: relay.id, peer: target, bytes: Buffer.from("by command") });
    }
    member.permit(relay.id, "203.0.113.5", { wireIp: IP });
    await client.send(listener.local, send({ ip: "203.0.113.5", port: member.mesh.port }, "by a mapped address"));
    await member.expectDropped({ "no-permission": 7 });
    await rogue.endpoint.expectSilence();

    member.apply({ type: "mesh-peer-gone", peer: PEER });
    await client.send(listener.local, send(rogue.endpoint.address, "it is a peer like any other now"));
    await rogue.endpoint.next();
  });

  test("whatever bytes come, sealed or not, it goes on", async () => {
    const { member, listener, rogue } = await given();
    const frames = fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc
        .record({ kind: fc.constantFrom(1, 2, 3, 4, 0x81, 0x82, 0x83), rest: fc.uint8Array({ maxLength: 80 }) })
        .map(({ kind, rest }) => Uint8Array.of(kind, ...rest)),
      fc
        .uint8Array({ maxLength: 60 })
        .map((bytes) => Buffer.concat(clientFrame("client-packet", { client: { ip: "192.0.2.7", port: 7 }, bytes }))),
    );
    await fc.assert(
      fc.asyncProperty(frames, fc.boolean(), async (frame, sealed) => {
        await rogue.send(member, sealed ? rogue.seal(member, [frame]) : frame);
      }),
      { numRuns: 300 },
    );
    await rogue.send(member, rogue.control(member, "the last one"));
    for (;;) if ((await member.event("mesh-control")).bytes.toString() === "the last one") break;
    const client = await member.udp();
    await client.send(listener.local, REQUEST);
    for (;;) if ((await member.event("client-input")).client.remote.port === client.address.port) break;
  });
}
