import { describe, expect, test } from "vitest";
import { clientFrame, Member, peerFrame, Rogue } from "./mesh-world.ts";
import { channelData, dataIndication, send } from "./messages.ts";
import { type CreateHarness, LOOPBACK, tuple } from "./world.ts";

const CHANNEL = 0x4001;
const PEER = 3;

/** Datagrams of peers that arrived at another relay, for a relayed address that is shared. */
export function meshPeerSide(create: CreateHarness): void {
  async function given(ip: string) {
    const member = new Member(create);
    const listener = await member.listen({ local: { ip, port: 0 } });
    await member.join([listener], { sharedIps: [ip] });
    const rogue = await Rogue.join(member, PEER);
    const [client, peer] = [await member.udp(ip), await member.udp(ip)];
    const relay = await member.allocation(tuple(listener, client), { ip });
    const deliver = (data: string, from = peer.address, to = relay.address) =>
      rogue.send(member, rogue.seal(member, peerFrame(to, from, data)));
    return { member, listener, rogue, client, peer, relay, deliver };
  }

  describe.each([LOOPBACK[4], LOOPBACK[6]])("a peer's datagram that arrived at another relay, on %s", (ip) => {
    test("reaches the client as if it had arrived here", async () => {
      const { member, listener, client, peer, relay, deliver } = await given(ip);
      member.permit(relay.id, ip);
      await deliver("in an indication");
      const { data, from } = await client.next();
      expect(dataIndication(data)).toEqual({ peer: peer.address, data: "in an indication" });
      expect(from).toEqual(listener.local);
      member.channel(relay.id, CHANNEL, peer.address);
      await deliver("on the channel");
      expect((await client.next()).data).toEqual(Buffer.from(channelData(CHANNEL, "on the channel")));
      expect(member.plane.relayCounters(relay.id)).toMatchObject({ packetsToClient: 2 });
    });

    test("needs a permission and a live lease as any other", async () => {
      const { member, client, peer, relay, deliver } = await given(ip);
      await deliver("x");
      await member.expectDropped({ "no-permission": 1 });
      member.permit(relay.id, ip);
      await deliver("x", { ...peer.address, port: 0 });
      await member.expectDropped({ "no-permission": 1, malformed: 1 });
      await member.bind(relay.id, relay.address, { lease: 4 });
      await deliver("x");
      await member.expectDropped({ "no-permission": 1, malformed: 1, fenced: 1 });
      await client.expectSilence();
    });

    test("for a relay that is not here, or not any more, is dropped", async () => {
      const { member, client, relay, peer, deliver } = await given(ip);
      await deliver("x", peer.address, { ip, port: 9 });
      member.apply({ type: "unbind", relay: relay.id });
      await deliver("x");
      await member.expectDropped({ "no-allocation": 2 });
      await client.expectSilence();
    });
  });

  test("for an address that is not shared is refused", async () => {
    const { member, peer, deliver } = await given(LOOPBACK[4]);
    await deliver("x", peer.address, { ip: "127.0.0.2", port: 1234 });
    await member.expectDropped({ "mesh-refused": 1 });
  });

  test("a client that came by one relay gets what arrived by another, once", async () => {
    const { member, client, peer, relay, deliver } = await given(LOOPBACK[4]);
    member.permit(relay.id, LOOPBACK[4]);
    const edge = await Rogue.join(member, PEER + 1);
    const bytes = send(peer.address, "hello");
    await edge.send(member, edge.seal(member, clientFrame("client-packet", { client: client.address, bytes })));
    await peer.next();
    await deliver("back");
    await edge.endpoint.next();
    expect(member.plane.counters().mesh).toMatchObject({ packetsReceived: 2, packetsSent: 1 });
    await client.expectSilence();
  });
}
