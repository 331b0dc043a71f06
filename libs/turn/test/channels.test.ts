import { Attr, attribute, Method } from "@culvert/stun";
import { describe, expect, it } from "vitest";
import { Lab, PEER, PEER6 } from "./support/lab.ts";
import { allocate, channelBind, createPermission } from "./support/requests.ts";

const given = (options: ConstructorParameters<typeof Lab>[0] = {}) => {
  const lab = new Lab(options);
  const client = lab.client();
  allocate(client);
  lab.take();
  return { lab, client };
};
const channelsOf = (lab: Lab): readonly number[] =>
  [...lab.server.list()].flatMap(({ relays }) =>
    relays.flatMap(({ channels }) => channels.map(({ channel }) => channel)),
  );

describe("ChannelBind (RFC 8656 section 12)", () => {
  it("without an allocation is answered with 437", () => {
    expect(channelBind(new Lab().client(), 0x4000, PEER).outcome).toBe(437);
  });

  it("enters the channel for 600 seconds and the permission for 300", () => {
    const { lab, client } = given();
    expect(channelBind(client, 0x4000, PEER).outcome).toBe("success");
    expect(lab.events("channel-created")).toMatchObject([{ channel: 0x4000, peer: PEER, tenant: "acme" }]);
    expect(lab.take().slice(0, 2)).toEqual([
      { type: "upsert", entry: { kind: "permission", relay: 1, ip: PEER.ip, deadline: lab.now + 300_000 } },
      {
        type: "upsert",
        entry: { kind: "channel", relay: 1, channel: 0x4000, peer: PEER, deadline: lab.now + 600_000 },
      },
    ]);
  });

  it("again refreshes both", () => {
    const { lab, client } = given({ config: { defaultLifetimeSeconds: 3600 } });
    channelBind(client, 0x4000, PEER);
    lab.advance(400_000);
    lab.take();
    expect(channelBind(client, 0x4000, PEER).outcome).toBe("success");
    expect(lab.take().filter(({ type }) => type === "upsert")).toHaveLength(2);
    expect(lab.events("channel-created")).toHaveLength(0);
    lab.advance(599_999);
    expect(channelsOf(lab)).toEqual([0x4000]);
    lab.take();
    lab.advance(1);
    expect(lab.take()).toEqual([{ type: "revoke", key: { kind: "channel", relay: 1, channel: 0x4000 } }]);
  });

  it.each([0, 0x3fff, 0x5000, 0x7fff, 0x8000, 0xffff])("of number %i is answered with 400", (number) => {
    const { lab, client } = given();
    expect(channelBind(client, number, PEER).outcome).toBe(400);
    expect(channelsOf(lab)).toEqual([]);
  });

  it.each([0x4000, 0x4fff])("of number %i is accepted", (number) => {
    expect(channelBind(given().client, number, PEER).outcome).toBe("success");
  });

  it.each([
    ["from a client of RFC 5389 is accepted where that is configured", true, "rfc5389", "success"],
    ["from a client of RFC 8489 is answered with 400 all the same", true, "rfc8489", 400],
    ["is answered with 400 by default", false, "rfc5389", 400],
  ] as const)("of a number that only RFC 5766 has %s", (_, rfc5766Channels, dialect, outcome) => {
    for (const number of [0x5000, 0x7fff]) {
      const client = new Lab({ config: { rfc5766Channels } }).client({ dialect });
      allocate(client);
      expect(channelBind(client, number, PEER).outcome).toBe(outcome);
      expect(channelBind(client, 0x8000, PEER).outcome).toBe(400);
    }
  });

  it("of a bound number to another peer is answered with 400", () => {
    const { client } = given();
    channelBind(client, 0x4000, PEER);
    expect(channelBind(client, 0x4000, { ...PEER, port: 5001 }).outcome).toBe(400);
    expect(channelBind(client, 0x4000, { ...PEER, ip: "9.9.9.10" }).outcome).toBe(400);
  });

  it("of a bound peer to another number is answered with 400", () => {
    const { client } = given();
    channelBind(client, 0x4000, PEER);
    expect(channelBind(client, 0x4001, PEER).outcome).toBe(400);
  });

  it("of a number whose binding expired may name another peer", () => {
    const { lab, client } = given({ config: { defaultLifetimeSeconds: 3600 } });
    channelBind(client, 0x4000, PEER);
    lab.advance(600_000);
    expect(channelBind(client, 0x4000, { ...PEER, port: 5001 }).outcome).toBe("success");
    expect(channelBind(client, 0x4001, PEER).outcome).toBe("success");
  });

  it("without a number or a peer is answered with 400", () => {
    const { client } = given();
    expect(client.request(Method.ChannelBind, [attribute(Attr.ChannelNumber, 0x4000)]).outcome).toBe(400);
    expect(client.request(Method.ChannelBind, [attribute(Attr.XorPeerAddress, PEER)]).outcome).toBe(400);
  });

  it("to port 0 is answered with 403", () => {
    expect(channelBind(given().client, 0x4000, { ...PEER, port: 0 }).outcome).toBe(403);
  });

  it("of another family is answered with 443", () => {
    expect(channelBind(given().client, 0x4000, PEER6).outcome).toBe(443);
  });

  it("of both families shares one space of numbers", () => {
    const lab = new Lab();
    const client = lab.client();
    allocate(client, [attribute(Attr.AdditionalAddressFamily, 6)]);
    expect(channelBind(client, 0x4000, PEER).outcome).toBe("success");
    expect(channelBind(client, 0x4000, PEER6).outcome).toBe(400);
    expect(channelBind(client, 0x4001, PEER6).outcome).toBe("success");
  });

  it("beyond the cap of the allocation is answered with 508 and installs no permission", () => {
    const { lab, client } = given({ config: { limits: { channelsPerAllocation: 1 } } });
    channelBind(client, 0x4000, PEER);
    expect(channelBind(client, 0x4001, { ip: "9.9.9.10", port: 1 }).outcome).toBe(508);
    expect([...lab.server.list()][0]?.relays[0]?.permissions).toHaveLength(1);
    expect(channelBind(client, 0x4000, PEER).outcome).toBe("success");
  });

  it("to new ports of a known peer counts as new peers", () => {
    const { lab, client } = given({ config: { limits: { newPeersPerSecond: 1, newPeersBurst: 2 } } });
    createPermission(client, PEER.ip);
    expect(channelBind(client, 0x4000, { ...PEER, port: 1 }).outcome).toBe("success");
    expect(channelBind(client, 0x4001, { ...PEER, port: 2 }).outcome).toBe(508);
    lab.advance(1000);
    expect(channelBind(client, 0x4001, { ...PEER, port: 2 }).outcome).toBe("success");
  });
});
