import { Attr } from "@culvert/stun";
import { describe, expect, it } from "vitest";
import { Lab, PEER, REALM } from "./support/lab.ts";
import { allocate, channelBind, createPermission, refresh } from "./support/requests.ts";

const outcomes = (lab: Lab, first: number, count: number) =>
  Array.from({ length: count }, (_, index) => allocate(lab.client({ port: first + index })).outcome);

describe("a change of the configuration", () => {
  it("of quotas counts for the next Allocate, and takes nothing from anybody", () => {
    const lab = new Lab();
    expect(outcomes(lab, 1, 3)).toEqual(["success", "success", "success"]);
    lab.server.reconfigure({ limits: { allocationsPerUser: 2 } });
    expect(outcomes(lab, 10, 1)).toEqual([486]);
    expect(lab.server.size).toBe(3);
    expect(refresh(lab.client({ port: 1 })).outcome).toBe("success");
    lab.server.reconfigure({ limits: { allocationsPerUser: 4 } });
    expect(outcomes(lab, 20, 2)).toEqual(["success", 486]);
    lab.server.reconfigure({ limits: {} });
    expect(outcomes(lab, 30, 2)).toEqual(["success", "success"]);
  });

  it("of caps leaves the permissions and channels that there are", () => {
    const lab = new Lab();
    const client = lab.client();
    allocate(client);
    channelBind(client, 0x4000, PEER);
    channelBind(client, 0x4001, { ...PEER, port: 1 });
    lab.take();
    lab.server.reconfigure({ limits: { permissionsPerAllocation: 1, channelsPerAllocation: 1 } });
    expect(lab.take()).toEqual([]);
    expect(createPermission(client, "9.9.9.10").outcome).toBe(508);
    expect(channelBind(client, 0x4002, { ...PEER, port: 2 }).outcome).toBe(508);
    expect(channelBind(client, 0x4001, { ...PEER, port: 1 }).outcome).toBe("success");
  });

  it("of lifetimes counts for the next Refresh", () => {
    const lab = new Lab();
    const client = lab.client();
    expect(allocate(client).message?.get(Attr.Lifetime)).toBe(600);
    lab.server.reconfigure({ defaultLifetimeSeconds: 60, maxLifetimeSeconds: 120 });
    expect(refresh(client, 3600).message?.get(Attr.Lifetime)).toBe(120);
    expect(refresh(client).message?.get(Attr.Lifetime)).toBe(60);
  });

  it("of rates counts at once", () => {
    const lab = new Lab({ config: { limits: { unauthenticatedPerSecond: 1, unauthenticatedBurst: 1 } } });
    const ask = (port: number) => lab.client({ port }).send(lab.client({ port }).session.bare(3));
    expect(ask(1)).toBeDefined();
    expect(ask(2)).toBeUndefined();
    lab.server.reconfigure({ limits: { unauthenticatedPerSecond: 100, unauthenticatedBurst: 200 } });
    expect([3, 4, 5].map(ask).every((answer) => answer !== undefined)).toBe(true);
  });

  it("of SOFTWARE is told, and not told any more, and leaves everything else", () => {
    const lab = new Lab();
    lab.server.reconfigure({ software: "Culvert" });
    expect(allocate(lab.client({ port: 1 })).message?.get(Attr.Software)).toBe("Culvert");
    lab.server.reconfigure({ software: undefined });
    const client = lab.client({ port: 2 });
    expect(allocate(client).message?.has(Attr.Software)).toBe(false);
    expect(client.session.challenge?.realm).toBe(REALM);
  });

  it("of RFC 5766's channel numbers counts for the next ChannelBind", () => {
    const lab = new Lab();
    const client = lab.client();
    allocate(client);
    expect(channelBind(client, 0x5000, PEER).outcome).toBe(400);
    lab.server.reconfigure({ rfc5766Channels: true });
    expect(channelBind(client, 0x5000, PEER).outcome).toBe("success");
  });
});
