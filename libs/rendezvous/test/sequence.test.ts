import { describe, expect, it } from "vitest";
import { World } from "./world.ts";

const presence = { status: "away" };

describe("sequence numbers", () => {
  it("acknowledges cumulatively, soon, or with the next message", () => {
    const world = new World();
    const client = world.replica().join("acme:alice");
    client.clear();
    client.send("presence.set", presence);
    client.send("presence.set", presence);
    expect(client.received).toEqual([]);
    world.advance(40);
    expect(client.received).toEqual([{ v: 1, type: "ack", seq: 0, ack: 2, data: {} }]);
    client.clear();
    client.send("presence.set", presence);
    client.send("presence.get", { users: ["alice"] });
    expect(client.received).toMatchObject([{ type: "presence.state", seq: 1, ack: 3 }]);
    world.advance(40);
    expect(client.received.at(-1)).toMatchObject({ type: "ack", ack: 4 });
  });

  it("processes a repeated message once and acknowledges it again", () => {
    const world = new World();
    const replica = world.replica();
    const alice = replica.join("acme:alice");
    const bob = replica.join("acme:bob");
    alice.send("ice.restart", { attemptId: "1" }, { to: "bob" });
    world.advance(40);
    alice.clear();
    alice.send("ice.restart", { attemptId: "1" }, { to: "bob", seq: 1 });
    world.advance(40);
    expect(bob.deliveries).toEqual(["1"]);
    expect(alice.received).toEqual([{ v: 1, type: "ack", seq: 0, ack: 1, data: {} }]);
  });

  it("closes on a hole, and on the acknowledgement of what was never sent", () => {
    const replica = new World().replica();
    const alice = replica.join("acme:alice");
    alice.send("presence.set", presence, { seq: 2 });
    expect(alice.of("error")[0]?.data).toMatchObject({ code: "bad_sequence", re: 2 });
    expect(alice.closed?.code).toBe(4400);
    const bob = replica.join("acme:bob");
    bob.send("ack", {}, { ack: 1 });
    expect(bob.closed).toEqual({ code: 4400, reason: "bad_sequence" });
  });

  it("wants seq 0 on messages of the connection and on no other", () => {
    const replica = new World().replica();
    const alice = replica.join("acme:alice");
    alice.send("ping", {}, { seq: 1 });
    expect(alice.closed?.reason).toBe("bad_sequence");
    const bob = replica.join("acme:bob");
    bob.send("presence.set", presence, { seq: 0 });
    expect(bob.closed?.reason).toBe("bad_sequence");
  });

  it("acknowledges a message for another replica only when that has it", () => {
    const world = new World();
    const alice = world.replica("r1").join("acme:alice");
    const bob = world.replica("r2").join("acme:bob");
    world.busHeld = true;
    alice.send("ice.restart", { attemptId: "1" }, { to: "bob" });
    alice.send("presence.set", presence);
    world.advance(40);
    expect(alice.received.at(-1)).toMatchObject({ type: "ack", ack: 0 });
    world.busHeld = false;
    world.advance(40);
    expect(bob.deliveries).toEqual(["1"]);
    expect(alice.received.at(-1)).toMatchObject({ type: "ack", ack: 2 });
  });
});
