import { Attr, attribute } from "@culvert/stun";
import { describe, expect, it } from "vitest";
import { Lab, PEER, PEER6 } from "./support/lab.ts";
import { allocate, channelBind, createPermission, refresh, relayedOf } from "./support/requests.ts";

const family = (value: 4 | 6) => attribute(Attr.RequestedAddressFamily, value);
const BOTH = [attribute(Attr.AdditionalAddressFamily, 6)];

describe("Refresh (RFC 8656 section 8)", () => {
  it("without an allocation is answered with 437", () => {
    expect(refresh(new Lab().client()).outcome).toBe(437);
    expect(refresh(new Lab().client(), 0).outcome).toBe(437);
  });

  it.each([
    [undefined, 600],
    [1, 600],
    [1200, 1200],
    [100_000, 3600],
  ])("asking for %s seconds gets %i from now on", (asked, granted) => {
    const lab = new Lab();
    const client = lab.client();
    allocate(client);
    lab.advance(300_000);
    lab.take();
    expect(refresh(client, asked).message?.get(Attr.Lifetime)).toBe(granted);
    expect(lab.take()[0]).toMatchObject({
      type: "upsert",
      entry: { kind: "allocation", relay: 1, deadline: lab.now + granted * 1000 },
    });
    lab.advance(granted * 1000 - 1);
    expect(lab.server.size).toBe(1);
    lab.advance(1);
    expect(lab.server.size).toBe(0);
  });

  it("with lifetime 0 ends the allocation and closes its socket", () => {
    const lab = new Lab();
    const client = lab.client();
    allocate(client);
    lab.take();
    expect(refresh(client, 0).message?.get(Attr.Lifetime)).toBe(0);
    expect(lab.events("allocation-deleted")).toMatchObject([{ reason: "refresh", tenant: "acme", user: "alice" }]);
    expect(lab.take()[0]).toEqual({ type: "unbind", relay: 1 });
    expect(lab.server.size).toBe(0);
    expect(lab.server.pollTimeout()).toBeUndefined();
    expect(refresh(client, 0).outcome).toBe(437);
  });

  it("does not come: the allocation expires with everything in it", () => {
    const lab = new Lab();
    const client = lab.client();
    allocate(client);
    createPermission(client, PEER.ip);
    channelBind(client, 0x4000, PEER);
    lab.advance(599_999);
    lab.take();
    lab.advance(1);
    expect(lab.events("allocation-deleted")).toMatchObject([{ reason: "expired" }]);
    expect(lab.take()).toContainEqual({ type: "unbind", relay: 1 });
    expect(lab.server.pollTimeout()).toBeUndefined();
  });

  it("comes too late even if nobody called handleTimeout", () => {
    const lab = new Lab();
    const client = lab.client();
    allocate(client);
    lab.now += 600_000;
    expect(refresh(client).outcome).toBe(437);
  });

  it("of a family that the allocation has not is answered with 443", () => {
    const client = new Lab().client();
    allocate(client);
    expect(refresh(client, 600, [family(6)]).outcome).toBe(443);
    expect(refresh(client, 600, [family(4)]).outcome).toBe("success");
  });
});

describe("Refresh of two relayed addresses", () => {
  it("extends both", () => {
    const lab = new Lab();
    const client = lab.client();
    allocate(client, BOTH);
    lab.take();
    refresh(client, 1200);
    expect(lab.take().filter(({ type }) => type === "upsert")).toHaveLength(2);
  });

  it("extends one where REQUESTED-ADDRESS-FAMILY names it; the other expires", () => {
    const lab = new Lab();
    const client = lab.client();
    allocate(client, BOTH);
    refresh(client, 1200, [family(6)]);
    lab.advance(600_000);
    expect([...lab.server.list()][0]?.relays.map((relay) => relay.family)).toEqual([6]);
    expect(lab.events("relay-deleted")).toMatchObject([{ family: 4 }]);
    expect(refresh(client, 600, [family(4)]).outcome).toBe(443);
    lab.advance(600_000);
    expect(lab.server.size).toBe(0);
  });

  it("deletes one with its permissions and channels, and with the last one the allocation", () => {
    const lab = new Lab();
    const client = lab.client();
    allocate(client, BOTH);
    channelBind(client, 0x4000, PEER);
    channelBind(client, 0x4001, PEER6);
    expect(refresh(client, 0, [family(4)]).outcome).toBe("success");
    expect([...lab.server.list()][0]?.relays).toMatchObject([{ family: 6, channels: [{ channel: 0x4001 }] }]);
    expect(createPermission(client, PEER.ip).outcome).toBe(443);
    // The number is free again: it went with its relayed address.
    expect(channelBind(client, 0x4000, { ...PEER6, port: 7 }).outcome).toBe("success");
    expect(refresh(client, 0, [family(6)]).outcome).toBe("success");
    expect(lab.server.size).toBe(0);
    expect(relayedOf(allocate(client)).port).toBeGreaterThan(0);
  });
});
