import { describe, expect, it } from "vitest";
import { World } from "./world.ts";

describe("message rate", () => {
  it("refuses what is too much, and takes messages again after a while", () => {
    const world = new World({ messagesPerSecond: 10, messageBurst: 5 });
    const client = world.replica().join("acme:alice");
    world.advance(1000);
    for (let index = 0; index < 6; index++) client.send("presence.set", { status: `${index}` });
    expect(client.of("error").map(({ data }) => data)).toEqual([
      { code: "rate_limited", message: expect.any(String), re: 6, retryAfter: 1 },
    ]);
    world.advance(1000);
    client.send("presence.set", { status: "x" });
    expect(client.errors).toEqual(["rate_limited"]);
    expect(client.closed).toBeUndefined();
  });

  it.each([
    [
      "messages",
      (index: number) => JSON.stringify({ v: 1, type: "presence.set", seq: index, ack: 0, data: { status: "x" } }),
    ],
    ["acks", () => JSON.stringify({ v: 1, type: "ack", seq: 0, ack: 0, data: {} })],
    ["pings", () => JSON.stringify({ v: 1, type: "ping", seq: 0, ack: 0, data: {} })],
    ["unknown types", (index: number) => JSON.stringify({ v: 1, type: "x", seq: index, ack: 0, data: {} })],
  ])("closes on a flood of %s", (_name, message) => {
    const replica = new World({ outboxMessages: 10_000 }).replica();
    const client = replica.join("acme:alice");
    for (let index = 1; index <= 3000; index++) client.raw(message(index));
    expect(client.closed).toBeDefined();
    expect(["flood", "too_many_violations"]).toContain(client.closed?.reason);
    expect(replica.refusals).toContain(client.closed?.reason);
  });

  it("is the session's: a new connection does not start afresh", () => {
    const world = new World({ messagesPerSecond: 1, messageBurst: 10 });
    const client = world.replica().join("acme:alice");
    for (let index = 0; index < 15; index++) client.send("presence.set", { status: "x" });
    client.cut();
    const again = client.resume(world.replica());
    again.clear();
    again.send("presence.set", { status: "x" });
    expect(again.errors).toEqual(["rate_limited"]);
  });
});

describe("slow consumers", () => {
  it("lose their session when 256 messages wait", () => {
    const world = new World({ messageBurst: 1000 });
    const replica = world.replica();
    const [alice, bob] = [replica.join("acme:alice"), replica.join("acme:bob")];
    for (let index = 0; index < 256; index++) bob.send("ice.restart", { attemptId: `${index}` }, { to: alice.address });
    expect(alice.closed).toBeUndefined();
    bob.send("ice.restart", {}, { to: alice.address });
    expect(alice.errors).toEqual(["slow_consumer"]);
    expect(alice.closed).toEqual({ code: 4413, reason: "slow_consumer" });
    expect(bob.errors).toEqual(["peer_unavailable"]);
    expect(replica.events).toContainEqual({ name: "outbox-overflow" });
    expect(alice.resume(replica).errors).toEqual(["resume_refused"]);
  });

  it("lose it at 256 KiB too, also while they are away", () => {
    const replica = new World().replica();
    const [alice, bob] = [replica.join("acme:alice"), replica.join("acme:bob")];
    alice.cut();
    const description = { type: "offer", sdp: "x".repeat(60_000) } as const;
    for (let index = 0; index < 5; index++) bob.send("ice.desc", { description }, { to: alice.address });
    expect(bob.errors).toEqual(["peer_unavailable"]);
    expect(replica.hub.sessions).toBe(1);
  });

  it("keep it as long as they acknowledge", () => {
    const replica = new World({ messageBurst: 2000 }).replica();
    const [alice, bob] = [replica.join("acme:alice"), replica.join("acme:bob")];
    for (let index = 0; index < 600; index++) {
      bob.send("ice.restart", { attemptId: `${index}` }, { to: alice.address });
      if (index % 100 === 0) alice.send("ack", {});
    }
    expect(alice.deliveries).toHaveLength(600);
    expect(alice.closed).toBeUndefined();
  });
});

describe("sessions of one user", () => {
  it("are limited", () => {
    const replica = new World({ sessionsPerUser: 2 }).replica();
    for (let index = 0; index < 2; index++) replica.join("acme:alice");
    const third = replica.join("acme:alice");
    expect(third.of("error")[0]?.data).toMatchObject({ code: "too_many_sessions", retryAfter: 60 });
    expect(third.closed?.code).toBe(4429);
    expect(replica.join("acme:bob").closed).toBeUndefined();
    expect(replica.join("rival:alice").closed).toBeUndefined();
  });

  it("make room for a new one when one of them is away", () => {
    const replica = new World({ sessionsPerUser: 2 }).replica();
    const [first, second] = [replica.join("acme:alice"), replica.join("acme:alice")];
    second.cut();
    expect(replica.join("acme:alice").session.resumed).toBe(false);
    expect(first.closed).toBeUndefined();
    expect(second.resume(replica).errors).toEqual(["resume_refused"]);
  });
});
