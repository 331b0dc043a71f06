import { describe, expect, it } from "vitest";
import { type Client, type Replica, World } from "./world.ts";

/** alice, and bob who sends her messages that carry 1, 2, ... */
function pair(world: World = new World()): {
  world: World;
  replica: Replica;
  alice: Client;
  say: (name: string) => void;
} {
  const replica = world.replica();
  const alice = replica.join("acme:alice");
  const bob = replica.join("acme:bob");
  const say = (name: string): void => bob.send("ice.restart", { attemptId: name }, { to: alice.address });
  return { world, replica, alice, say };
}

describe("resume", () => {
  it("replays what is missing, in order, and says what the server has of the client", () => {
    const { replica, alice, say } = pair();
    alice.send("presence.set", { status: "busy" });
    say("1");
    say("2");
    alice.cut();
    say("3");
    const again = alice.resume(replica, { lastSeq: 1 });
    expect(again.session).toMatchObject({ sessionId: alice.session.sessionId, epoch: 2, resumed: true, gap: false });
    expect(again.of("hello")[0]).toMatchObject({ seq: 0, ack: 1 });
    expect(again.deliveries).toEqual(["2", "3"]);
    expect(again.received.map(({ type }) => type)).toEqual(["welcome", "hello", "ice.restart", "ice.restart"]);
    say("4");
    expect(again.deliveries).toEqual(["2", "3", "4"]);
  });

  it("works at any fraction of a millisecond", () => {
    const world = new World();
    world.now += 0.1234;
    const { replica, alice } = pair(world);
    world.advance(0.5);
    expect(alice.resume(replica).session.resumed).toBe(true);
  });

  it("says gap when the client lost more than the server kept", () => {
    const { replica, alice, say } = pair();
    say("1");
    say("2");
    alice.send("ack", {});
    alice.cut();
    const again = alice.resume(replica, { lastSeq: 0 });
    expect(again.session).toMatchObject({ resumed: true, gap: true });
    expect(again.deliveries).toEqual([]);
  });

  it("rotates the token: each is good once", () => {
    const { replica, alice } = pair();
    const stolen = alice.session.resumeToken;
    alice.cut();
    const again = alice.resume(replica);
    expect(again.session.resumeToken).not.toBe(stolen);
    const thief = alice.resume(replica, { token: stolen });
    expect(thief.errors).toEqual(["resume_refused"]);
    expect(thief.closed?.code).toBe(4401);
    expect(again.closed).toBeUndefined();
    expect(replica.events).toContainEqual({ name: "resume", outcome: "replayed" });
    expect(replica.refusals).toContain("resume_refused");
  });

  it("fences the old socket when a newer epoch comes", () => {
    const { replica, alice, say } = pair();
    const again = alice.resume(replica);
    expect(alice.errors).toEqual(["superseded"]);
    expect(alice.closed).toEqual({ code: 4409, reason: "superseded" });
    alice.send("ice.restart", { attemptId: "late" }, { to: "bob" });
    expect(replica.hub.sessions).toBe(2);
    say("1");
    expect(again.deliveries).toEqual(["1"]);
    expect(alice.deliveries).toEqual([]);
  });

  it("drops what a client sends again because it missed the acknowledgement", () => {
    const { replica, alice } = pair();
    const carol = replica.join("acme:carol");
    alice.send("ice.restart", { attemptId: "1" }, { to: "carol" });
    alice.cut();
    const again = alice.resume(replica);
    again.send("ice.restart", { attemptId: "1" }, { to: "carol", seq: 1 });
    again.send("ice.restart", { attemptId: "2" }, { to: "carol" });
    expect(carol.deliveries).toEqual(["1", "2"]);
  });

  it.each([
    ["no token at all", () => "x"],
    ["another signature", (token: string) => token.replace(/.$/, (last) => (last === "A" ? "B" : "A"))],
    ["a later epoch", (token: string) => token.replace(/^(r1\.[^.]+)\.1\./, "$1.2.")],
    ["a longer life", (token: string) => token.replace(/^(r1\.[^.]+\.1)\.(\d)/, "$1.9$2")],
    ["the key of another tenant", (token: string) => token.replace("key-acme", "key-evil")],
    ["another session", (token: string, other: string) => token.replace(/s_[^.]+/, other)],
    ["a session that never was", (token: string) => token.replace(/s_[^.]+/, `s_${"A".repeat(22)}`)],
  ])("refuses a token with %s", (_name, forge) => {
    const { replica, alice } = pair();
    const bob = replica.join("acme:bob");
    alice.cut();
    const token = forge(alice.session.resumeToken, bob.session.sessionId);
    const thief = alice.resume(replica, { token });
    expect(thief.errors).toEqual(["resume_refused"]);
    expect(thief.closed?.code).toBe(4401);
    // The session itself is none the worse.
    expect(alice.resume(replica).session).toMatchObject({ resumed: true, epoch: 2 });
  });

  it("refuses a lastSeq that was never reached", () => {
    const { replica, alice } = pair();
    alice.cut();
    expect(alice.resume(replica, { lastSeq: 7 }).errors).toEqual(["resume_refused"]);
  });

  it("gives a fresh session, with gap, where the hello has auth besides", () => {
    const { world, replica, alice } = pair();
    alice.cut();
    world.advance(60_000);
    const again = alice.resume(replica, { auth: "acme:alice" });
    expect(again.session).toMatchObject({ resumed: false, gap: true, epoch: 1 });
    expect(again.session.sessionId).not.toBe(alice.session.sessionId);
  });

  it("takes an earlier token with auth of the same user: the answer to the last resume may have been lost", () => {
    const { replica, alice, say } = pair();
    alice.cut();
    const lost = alice.resume(replica);
    lost.cut();
    say("1");
    const again = alice.resume(replica, { auth: "acme:alice" });
    expect(again.session).toMatchObject({ sessionId: alice.session.sessionId, epoch: 3, resumed: true });
    expect(again.deliveries).toEqual(["1"]);
  });

  it.each(["acme:mallory", "evil:alice"])("does not let %s resume somebody else's session", (auth) => {
    const { replica, alice } = pair();
    alice.cut();
    const thief = alice.resume(replica, { auth });
    expect(thief.session).toMatchObject({ resumed: false, gap: true });
    expect(thief.session.sessionId).not.toBe(alice.session.sessionId);
    expect(replica.events).toContainEqual({ name: "resume", outcome: "other-owner" });
  });

  it("is over after the time that hello told", () => {
    const { world, replica, alice } = pair();
    alice.cut();
    world.advance(59_999);
    expect(replica.hub.sessions).toBe(2);
    world.advance(1);
    expect(replica.hub.sessions).toBe(1);
    expect(alice.resume(replica).errors).toEqual(["resume_refused"]);
  });

  it("keeps rooms, watches and reports", () => {
    const { replica, alice } = pair();
    alice.send("room.join", {}, { room: "lobby" });
    alice.send("presence.watch", { users: ["carol"] });
    alice.send("nat.report", {
      mapping: "endpoint-independent",
      filtering: "unknown",
      udp: true,
      tcp: true,
      v6: false,
    });
    alice.cut();
    const again = alice.resume(replica);
    expect(again.session.rooms).toEqual(["lobby"]);
    const carol = replica.join("acme:carol");
    carol.send("room.join", {}, { room: "lobby" });
    expect(again.received.map(({ type }) => type)).toEqual(["welcome", "hello", "presence.update", "room.event"]);
    expect(replica.hub.reportsOf(again.session.sessionId)?.nat).toMatchObject({ mapping: "endpoint-independent" });
  });
});
