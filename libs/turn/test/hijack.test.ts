import { Attr, attribute, Method } from "@culvert/stun";
import { describe, expect, it } from "vitest";
import { known, Lab, PEER } from "./support/lab.ts";
import { allocate, channelBind, createPermission, refresh, UDP_TRANSPORT } from "./support/requests.ts";

describe("another user's valid request on a 5-tuple with an allocation", () => {
  it.each<[string, Parameters<ReturnType<Lab["client"]>["request"]>]>([
    ["Allocate", [Method.Allocate, [UDP_TRANSPORT]]],
    ["Refresh", [Method.Refresh, [attribute(Attr.Lifetime, 0)]]],
    ["CreatePermission", [Method.CreatePermission, [attribute(Attr.XorPeerAddress, PEER)]]],
    [
      "ChannelBind",
      [Method.ChannelBind, [attribute(Attr.ChannelNumber, 0x4000), attribute(Attr.XorPeerAddress, PEER)]],
    ],
  ])("%s is answered with 441 and changes nothing", (_, request) => {
    const lab = new Lab();
    allocate(lab.client({ user: "alice" }));
    const before = [...lab.server.list()];
    const bob = lab.client({ user: "bob" });
    bob.challenge();
    lab.take();
    expect(bob.request(...request).outcome).toBe(441);
    expect(lab.events("auth-failed").at(-1)).toMatchObject({ code: 441, reason: "other-user" });
    expect(lab.take().map(({ type }) => type)).toEqual(["send"]);
    expect([...lab.server.list()]).toEqual(before);
  });

  it("with the transaction id of the owner's Allocate is answered with 441, not with the owner's response", () => {
    const lab = new Lab();
    const transactionId = lab.random.bytes(12);
    allocate(lab.client({ user: "alice" }), [], { transactionId });
    const reply = allocate(lab.client({ user: "bob" }), [], { transactionId });
    expect(reply.outcome).toBe(441);
    expect(reply.message?.has(Attr.XorRelayedAddress)).toBe(false);
  });

  it("is answered with 441 while the socket is being opened, too", () => {
    const lab = new Lab({ bind: () => undefined });
    allocate(lab.client({ user: "alice" }));
    expect(allocate(lab.client({ user: "bob" })).outcome).toBe(441);
  });

  it("of the same user id in another tenant is answered with 441", () => {
    const lab = new Lab({
      resolve: (username) => known({ tenant: username === "alice" ? "acme" : "umbrella", user: "same" }),
    });
    allocate(lab.client({ user: "alice" }));
    expect(refresh(lab.client({ user: "bob" }), 0).outcome).toBe(441);
  });
});

describe("a renewed credential of the same user", () => {
  it("goes on with the allocation", () => {
    const lab = new Lab({ resolve: () => known({ tenant: "acme", user: "alice" }) });
    allocate(lab.client({ user: "1767225700:alice" }));
    const renewed = lab.client({ user: "1767229300:alice" });
    expect(refresh(renewed).outcome).toBe("success");
    expect(createPermission(renewed, PEER.ip).outcome).toBe("success");
    expect(channelBind(renewed, 0x4000, PEER).outcome).toBe("success");
  });
});

describe("a reservation of another user", () => {
  it("is answered with 441 and stays where it is", () => {
    const lab = new Lab();
    const alice = lab.client({ user: "alice" });
    const token = allocate(alice, [attribute(Attr.EvenPort, { reserveNext: true })]).message?.get(
      Attr.ReservationToken,
    );
    if (token === undefined) throw new Error("no token");
    const bob = lab.client({ user: "bob", port: 2 });
    expect(allocate(bob, [attribute(Attr.ReservationToken, token)]).outcome).toBe(441);
    expect(lab.server.size).toBe(1);
    const second = lab.client({ user: "alice", port: 3 });
    expect(allocate(second, [attribute(Attr.ReservationToken, token)]).outcome).toBe("success");
  });
});
