import { type ClientData, DEFAULT_LIMITS } from "@culvert/rendezvous";
import { describe, expect, it } from "vitest";
import { World } from "./world.ts";

type Passed = { [Type in keyof ClientData]: { type: Type; data: ClientData[Type] } }[keyof ClientData];

const offer: ClientData["ice.desc"] = { attemptId: "a1", description: { type: "offer", sdp: "v=0\r\ns=-\r\n" } };

const passed: readonly Passed[] = [
  { type: "connect.request", data: { attemptId: "a1", metadata: { purpose: "call" } } },
  { type: "ice.desc", data: offer },
  {
    type: "ice.candidate",
    data: {
      candidate: {
        candidate: "candidate:1 1 udp 1 192.0.2.1 5 typ host",
        sdpMid: "0",
        sdpMLineIndex: 0,
        usernameFragment: null,
      },
    },
  },
  { type: "ice.candidate", data: { attemptId: "a1", candidate: null } },
  { type: "ice.restart", data: { reason: "network changed" } },
  { type: "path.update", data: { path: "relay", transport: "udp" } },
  { type: "attempt.result", data: { step: "punch", ok: false, reason: "timeout", ms: 1500 } },
];

describe("messages to peers", () => {
  it.each(passed)("passes $type on, stamped with the sender", ({ type, data }) => {
    const replica = new World().replica();
    const alice = replica.join("acme:alice");
    const bob = replica.join("acme:bob");
    alice.sendAny(type, data, { to: bob.address, id: "m1" });
    const message = bob.of(type)[0];
    expect(message).toEqual({ v: 1, id: "m1", type, seq: 1, ack: 0, to: bob.address, from: alice.address, data });
    expect(alice.errors).toEqual([]);
  });

  it("lets the answer go to the stamp", () => {
    const replica = new World().replica();
    const alice = replica.join("acme:alice");
    const bob = replica.join("acme:bob");
    alice.send("connect.request", { attemptId: "1" }, { to: "bob" });
    bob.send("ice.restart", { attemptId: "2" }, { to: bob.of("connect.request")[0]?.from ?? "" });
    expect(alice.deliveries).toEqual(["2"]);
  });

  it("reaches all sessions of a user, but not the sender's own", () => {
    const replica = new World().replica();
    const [one, two, bob] = [replica.join("acme:alice"), replica.join("acme:alice"), replica.join("acme:bob")];
    bob.send("connect.request", { attemptId: "1" }, { to: "alice" });
    one.send("connect.request", { attemptId: "2" }, { to: "alice" });
    expect(one.deliveries).toEqual(["1"]);
    expect(two.deliveries).toEqual(["1", "2"]);
  });

  it("keeps messages for a peer that is away and may come back", () => {
    const replica = new World().replica();
    const [alice, bob] = [replica.join("acme:alice"), replica.join("acme:bob")];
    bob.cut();
    alice.send("ice.desc", offer, { to: "bob" });
    expect(alice.errors).toEqual([]);
    expect(bob.resume(replica).of("ice.desc")).toHaveLength(1);
  });

  it.each(["nobody", `bob/s_${"A".repeat(22)}`, "bob/s_short", " ", "*", ">", "bob.*", "x".repeat(200)])(
    "says at once that %j is not there",
    (to) => {
      const replica = new World().replica();
      const alice = replica.join("acme:alice");
      replica.join("acme:bob");
      alice.send("ice.desc", offer, { to, id: "m" });
      expect(alice.of("error")).toMatchObject([{ id: "m", data: { code: "peer_unavailable", re: 1 } }]);
      expect(alice.closed).toBeUndefined();
    },
  );

  it("wants the user and the session of an address to belong together", () => {
    const replica = new World().replica();
    const [alice, bob] = [replica.join("acme:alice"), replica.join("acme:bob")];
    alice.send("ice.desc", offer, { to: `carol/${bob.session.sessionId}` });
    expect(alice.errors).toEqual(["peer_unavailable"]);
    expect(bob.deliveries).toEqual([]);
  });

  it("stays inside the tenant: others' users, sessions, rooms and presence are not there", () => {
    const replica = new World().replica();
    const alice = replica.join("acme:alice");
    const [victim, namesake] = [replica.join("rival:victim"), replica.join("rival:alice")];
    victim.send("room.join", {}, { room: "lobby" });
    victim.clear();
    alice.send("room.join", {}, { room: "lobby" });
    expect(alice.of("room.join")[0]?.data).toEqual({ members: [] });
    alice.send("room.event", { event: "message", body: "x" }, { room: "lobby" });
    alice.send("presence.watch", { users: ["victim", "alice"] });
    expect(alice.of("presence.state")[0]?.data).toMatchObject({
      users: [{ peers: [] }, { peers: [{ peer: alice.address }] }],
    });
    for (const to of ["victim", victim.address, namesake.address, "rival:victim", "rival/victim"]) {
      alice.send("ice.desc", offer, { to });
    }
    victim.send("presence.set", { status: "busy" });
    expect(alice.errors).toEqual(Array.from({ length: 5 }, () => "peer_unavailable"));
    expect(alice.of("presence.update")).toEqual([]);
    expect(victim.received).toEqual([]);
    expect(namesake.deliveries).toEqual([]);
    expect(replica.refusals.filter((reason) => reason === "cross_tenant")).toHaveLength(2);
  });

  it("closes on a forged from, and lets the own address pass", () => {
    const replica = new World().replica();
    const [alice, bob] = [replica.join("acme:alice"), replica.join("acme:bob")];
    alice.send("ice.desc", offer, { to: "bob", from: alice.address });
    alice.send("ice.desc", offer, { to: "bob", from: bob.address });
    expect(bob.deliveries).toEqual(["a1"]);
    expect(alice.errors).toEqual(["forged_from"]);
    expect(alice.closed).toEqual({ code: 4403, reason: "forged_from" });
    expect(replica.refusals).toEqual(["forged_from"]);
    const early = replica.connect();
    early.send("hello", { auth: "acme:alice" }, { from: alice.address });
    expect(early.closed?.code).toBe(4403);
  });

  it("with a room, goes only from member to member", () => {
    const replica = new World().replica();
    const [alice, bob, carol] = [replica.join("acme:alice"), replica.join("acme:bob"), replica.join("acme:carol")];
    alice.send("ice.desc", offer, { to: "bob", room: "lobby" });
    for (const member of [alice, bob]) member.send("room.join", {}, { room: "lobby" });
    alice.send("ice.desc", offer, { to: "bob", room: "lobby" });
    alice.send("ice.desc", offer, { to: "carol", room: "lobby" });
    expect(alice.errors).toEqual(["not_in_room", "peer_unavailable"]);
    expect(bob.of("ice.desc")).toMatchObject([{ room: "lobby", from: alice.address }]);
    expect(carol.deliveries).toEqual([]);
  });

  it("carries the largest message", () => {
    const replica = new World().replica();
    const [alice, bob] = [replica.join("acme:alice"), replica.join("acme:bob")];
    const sdp = "x".repeat(60 * 1024);
    alice.send("ice.desc", { description: { type: "offer", sdp } }, { to: "bob" });
    expect(bob.of("ice.desc")[0]?.data).toEqual({ description: { type: "offer", sdp } });
    expect(DEFAULT_LIMITS.outboxBytes).toBeGreaterThan(64 * 1024);
  });

  it("keeps path.update and attempt.result for itself without a target, and counts results", () => {
    const replica = new World().replica();
    const alice = replica.join("acme:alice");
    alice.send("path.update", { path: "direct" });
    alice.send("attempt.result", { step: "punch", ok: true, ms: 12 });
    expect(alice.errors).toEqual([]);
    expect(replica.events).toContainEqual({ name: "attempt", ok: true, ms: 12 });
  });

  it("remembers the last endpoints and NAT report of a session", () => {
    const replica = new World().replica();
    const alice = replica.join("acme:alice");
    const endpoints = [
      { kind: "srflx", transport: "udp", ip: "198.51.100.7", port: 40_000, base: { ip: "10.0.0.2", port: 5000 } },
      { kind: "host", transport: "tcp", ip: "2001:db8::1", port: 9 },
    ] as const;
    const nat = {
      mapping: "address-and-port-dependent",
      filtering: "address-dependent",
      hairpin: false,
      alloc: { kind: "sequential", delta: 2, range: [40_000, 50_000], rate: 3.5 },
      udp: true,
      tcp: false,
      v6: true,
    } as const;
    alice.send("endpoints.update", { endpoints: [] });
    alice.send("endpoints.update", { endpoints });
    alice.send("nat.report", nat);
    expect(alice.errors).toEqual([]);
    expect(replica.hub.reportsOf(alice.session.sessionId)).toEqual({ endpoints: { endpoints }, nat });
  });
});
