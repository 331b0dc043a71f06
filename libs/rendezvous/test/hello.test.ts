import { describe, expect, it } from "vitest";
import { World } from "./world.ts";

describe("hello", () => {
  it("welcomes a connection, and opens a session for a token", () => {
    const client = new World().replica().connect();
    expect(client.received).toEqual([
      { v: 1, type: "welcome", seq: 0, ack: 0, data: { helloTimeoutMs: 10_000, maxMessageBytes: 65_536 } },
    ]);
    client.send("hello", { auth: "acme:alice" }, { id: "h1" });
    const [hello] = client.of("hello");
    expect(hello).toMatchObject({ v: 1, id: "h1", seq: 0, ack: 0 });
    expect(hello?.data).toEqual({
      sessionId: expect.stringMatching(/^s_[A-Za-z0-9_-]{22}$/),
      address: `alice/${client.session.sessionId}`,
      epoch: 1,
      resumeToken: expect.any(String),
      ttl: 60,
      pingMs: 25_000,
      resumed: false,
      gap: false,
      rooms: [],
    });
  });

  it("closes a connection that says nothing within the deadline", () => {
    const world = new World();
    const client = world.replica().connect();
    world.advance(9_999);
    expect(client.closed).toBeUndefined();
    world.advance(1);
    expect(client.errors).toEqual(["hello_timeout"]);
    expect(client.closed).toEqual({ code: 4408, reason: "hello_timeout" });
  });

  it("has no deadline once the session is open", () => {
    const world = new World();
    const client = world.replica().join("acme:alice");
    world.advance(600_000);
    expect(client.closed).toBeUndefined();
  });

  it("tells no more than that the token is not accepted", () => {
    const replica = new World().replica();
    const client = replica.join(":");
    expect(client.of("error")[0]?.data).toEqual({ code: "unauthenticated", message: "the token is not accepted" });
    expect(client.closed?.code).toBe(4401);
    expect(replica.refusals).toEqual(["auth_bad-token", "unauthenticated"]);
  });

  it("takes nothing before hello", () => {
    const client = new World().replica().connect();
    client.send("room.join", {}, { room: "lobby" });
    expect(client.errors).toEqual(["hello_expected"]);
    expect(client.closed?.code).toBe(4400);
  });

  it("takes one hello at a time", () => {
    const replica = new World().replica();
    const client = replica.connect();
    const hello = JSON.stringify({ v: 1, type: "hello", seq: 0, ack: 0, data: { auth: "acme:alice" } });
    replica.hub.handleText(client.id, hello, 0);
    replica.hub.handleText(client.id, hello, 0);
    replica.world.settle();
    expect(client.errors).toEqual(["hello_expected"]);
    expect(replica.hub.sessions).toBe(0);
  });

  it("ends the session when its token expires", () => {
    const world = new World();
    const client = world.replica().join("acme:alice:60");
    world.advance(60_000);
    expect(client.errors).toEqual(["auth_expired"]);
    expect(client.closed?.code).toBe(4401);
    expect(world.replica().hub.sessions).toBe(0);
    expect(client.resume(world.replica()).errors).toEqual(["resume_refused"]);
  });

  it("goes on with a newer token of the same user, and only of that", () => {
    const world = new World();
    const client = world.replica().join("acme:alice:60");
    world.advance(30_000);
    client.hello({ auth: "acme:alice:600" });
    world.advance(300_000);
    expect(client.closed).toBeUndefined();
    expect(client.of("hello")).toHaveLength(2);
    expect(client.session).toMatchObject({ epoch: 1, resumed: true, gap: false });
    client.hello({ auth: "acme:bob:600" });
    expect(client.closed).toEqual({ code: 4401, reason: "unauthenticated" });
  });

  it("ends sessions whose key or user was revoked", () => {
    const world = new World();
    const replica = world.replica();
    const alice = replica.join("acme:alice");
    const bob = replica.join("acme:bob");
    replica.hub.revoke(({ user }) => user === "alice", world.now);
    world.settle();
    expect(alice.errors).toEqual(["auth_revoked"]);
    expect(alice.closed?.code).toBe(4401);
    expect(bob.closed).toBeUndefined();
  });

  it("ends the session at once on bye, and on a clean close", () => {
    const world = new World();
    const replica = world.replica();
    const alice = replica.join("acme:alice");
    const bob = replica.join("acme:bob");
    alice.send("bye", {});
    expect(alice.closed?.code).toBe(1000);
    bob.cut(true);
    expect(replica.hub.sessions).toBe(0);
  });

  it("answers ping with pong, with the id", () => {
    const client = new World().replica().join("acme:alice");
    client.send("ping", {}, { id: "p" });
    expect(client.of("pong")).toEqual([{ v: 1, id: "p", type: "pong", seq: 0, ack: 0, data: {} }]);
  });

  it("announces a drain, and closes with 1001 at its end", () => {
    const world = new World();
    const replica = world.replica();
    const client = replica.join("acme:alice");
    replica.hub.drain(3000, world.now);
    world.settle();
    expect(client.of("goaway").map(({ data }) => data)).toEqual([{ graceMs: 3000 }]);
    expect(client.closed).toBeUndefined();
    replica.hub.stop(world.now);
    world.settle();
    expect(client.closed).toEqual({ code: 1001, reason: "goaway" });
  });
});
