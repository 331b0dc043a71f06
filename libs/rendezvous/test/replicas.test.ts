import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Client, seededRandom, World } from "./world.ts";

function twoReplicas(world: World = new World()): { world: World; alice: Client; bob: Client } {
  const [r1, r2] = [world.replica("r1"), world.replica("r2")];
  return { world, alice: r1.join("acme:alice"), bob: r2.join("acme:bob") };
}

const numbers = (count: number): string[] => Array.from({ length: count }, (_, index) => `${index}`);

describe("replicas", () => {
  it("find each other, and what was there before", () => {
    const world = new World();
    const alice = world.replica("r1").join("acme:alice");
    alice.send("room.join", {}, { room: "lobby" });
    const bob = world.replica("r2").join("acme:bob");
    expect(world.replica("r1").hub.replicas).toEqual(["r2"]);
    bob.send("room.join", {}, { room: "lobby" });
    expect(bob.of("room.join")[0]?.data).toMatchObject({ members: [{ peer: alice.address }] });
    expect(alice.of("room.event")[0]?.data).toEqual({ event: "join", peer: bob.address });
  });

  it("answer hello and room.join only when every replica knows", () => {
    const world = new World();
    const [r1, r2] = [world.replica("r1"), world.replica("r2")];
    const bob = r2.join("acme:bob");
    world.busHeld = true;
    const alice = r1.join("acme:alice");
    expect(alice.of("hello")).toEqual([]);
    world.busHeld = false;
    world.settle();
    expect(alice.of("hello")).toHaveLength(1);
    bob.send("connect.request", {}, { to: "alice" });
    expect(bob.errors).toEqual([]);
    world.busHeld = true;
    alice.send("room.join", {}, { room: "lobby" });
    expect(alice.of("room.join")).toEqual([]);
    world.busHeld = false;
    world.settle();
    expect(alice.of("room.join")).toHaveLength(1);
  });

  it("bring messages, room messages and presence across", () => {
    const { alice, bob } = twoReplicas();
    alice.send("presence.watch", { users: ["bob"] });
    for (const member of [alice, bob]) member.send("room.join", {}, { room: "lobby" });
    alice.send("ice.restart", { attemptId: "1" }, { to: bob.address, id: "m" });
    alice.send("room.event", { event: "message", body: "2" }, { room: "lobby" });
    bob.send("presence.set", { status: "busy" });
    expect(bob.of("ice.restart")).toMatchObject([{ id: "m", from: alice.address, data: { attemptId: "1" } }]);
    expect(bob.deliveries).toEqual(["1", "2"]);
    expect(alice.of("presence.update")[0]?.data).toMatchObject({ user: "bob", status: "busy" });
  });

  it("keep tenants apart", () => {
    const world = new World();
    const [r1, r2] = [world.replica("r1"), world.replica("r2")];
    const [alice, victim] = [r1.join("acme:alice"), r2.join("rival:victim")];
    for (const to of ["victim", victim.address]) alice.send("ice.restart", {}, { to });
    expect(alice.errors).toEqual(["peer_unavailable", "peer_unavailable"]);
    expect(victim.deliveries).toEqual([]);
  });

  it("resume a session anywhere: the whole of it moves", () => {
    const { world, alice, bob } = twoReplicas();
    for (const member of [alice, bob]) member.send("room.join", {}, { room: "lobby" });
    alice.send("endpoints.update", { endpoints: [{ kind: "host", transport: "udp", ip: "10.0.0.1", port: 7 }] });
    bob.send("ice.restart", { attemptId: "1" }, { to: alice.address });
    bob.send("ice.restart", { attemptId: "2" }, { to: alice.address });
    bob.clear();
    alice.cut();
    bob.send("ice.restart", { attemptId: "3" }, { to: alice.address });
    const r2 = world.replica("r2");
    const again = alice.resume(r2, { lastSeq: alice.lastSeq - 1 });
    expect(again.session).toMatchObject({ sessionId: alice.session.sessionId, epoch: 2, resumed: true, gap: false });
    expect(again.session.rooms).toEqual(["lobby"]);
    expect(again.deliveries).toEqual(["2", "3"]);
    expect(again.of("hello")[0]).toMatchObject({ ack: alice.seq });
    expect(again.of("room.join")[0]?.data).toMatchObject({ members: [{ peer: bob.address }] });
    expect(r2.hub.reportsOf(again.session.sessionId)?.endpoints?.endpoints).toHaveLength(1);
    again.send("ice.restart", { attemptId: "4" }, { to: "bob" });
    bob.send("ice.restart", { attemptId: "5" }, { to: alice.address });
    expect(bob.deliveries).toEqual(["4"]);
    expect(again.deliveries).toEqual(["2", "3", "5"]);
    expect(bob.of("room.event")).toEqual([]);
    expect(world.replica("r1").hub.sessions).toBe(0);
    expect(again.resume(world.replica("r1")).session.epoch).toBe(3);
  });

  it("fence the old socket on another replica, and refuse its token from then on", () => {
    const { world, alice } = twoReplicas();
    const token = alice.session.resumeToken;
    const again = alice.resume(world.replica("r2"));
    expect(alice.closed).toEqual({ code: 4409, reason: "superseded" });
    for (const name of ["r1", "r2", "r3"]) {
      const thief = alice.resume(world.replica(name), { token });
      expect(thief.errors).toEqual(["resume_refused"]);
      expect(thief.closed?.code).toBe(4401);
    }
    expect(again.closed).toBeUndefined();
  });

  it("let one of two resumes at once win", () => {
    const { world, alice } = twoReplicas();
    const [r2, r3] = [world.replica("r2"), world.replica("r3")];
    alice.cut();
    world.busHeld = true;
    const both = [alice.resume(r2), alice.resume(r3)];
    world.busHeld = false;
    world.settle();
    expect(both.filter((client) => client.of("hello").length === 1)).toHaveLength(1);
    expect(both.filter((client) => client.errors.includes("resume_refused"))).toHaveLength(1);
    expect(r2.hub.sessions + r3.hub.sessions).toBe(2);
  });

  it("lose the sessions of one that is killed: rooms hear of it, resume needs auth and says gap", () => {
    const { world, alice, bob } = twoReplicas();
    for (const member of [alice, bob]) member.send("room.join", {}, { room: "lobby" });
    world.kill("r1");
    bob.send("ice.restart", { attemptId: "x" }, { to: alice.address });
    world.advance(5000);
    expect(bob.of("room.event").at(-1)?.data).toEqual({ event: "leave", peer: alice.address, reason: "lost" });
    expect(bob.errors).toEqual(["peer_unavailable"]);
    expect(alice.resume(world.replica("r2")).errors).toEqual(["resume_refused"]);
    expect(alice.resume(world.replica("r2"), { auth: "acme:alice" }).session).toMatchObject({
      resumed: false,
      gap: true,
    });
  });

  it("do not wait for one that is gone", () => {
    const { world } = twoReplicas();
    world.kill("r2");
    const carol = world.replica("r1").join("acme:carol");
    expect(carol.of("hello")).toEqual([]);
    world.advance(5000);
    expect(carol.of("hello")).toHaveLength(1);
  });

  it("are forgotten at once when they stop in order", () => {
    const { world, alice, bob } = twoReplicas();
    for (const member of [alice, bob]) member.send("room.join", {}, { room: "lobby" });
    const r1 = world.replica("r1");
    r1.hub.stop(world.now);
    world.settle();
    expect(bob.of("room.event").at(-1)?.data).toEqual({ event: "leave", peer: alice.address, reason: "goaway" });
    expect(world.replica("r2").hub.replicas).toEqual([]);
  });

  it("agree again after they were cut off from each other", () => {
    const { world, alice, bob } = twoReplicas();
    world.loses = () => true;
    world.advance(6000);
    alice.send("ice.restart", {}, { to: bob.address });
    expect(alice.errors).toEqual(["peer_unavailable"]);
    world.loses = () => false;
    world.advance(2000);
    alice.send("ice.restart", { attemptId: "1" }, { to: bob.address });
    bob.send("ice.restart", { attemptId: "2" }, { to: alice.address });
    expect(bob.deliveries).toEqual(["1"]);
    expect(alice.deliveries).toEqual(["2"]);
  });

  it("agree again when only one gave the other up", () => {
    const { world, alice, bob } = twoReplicas();
    world.loses = ({ from }) => from === "r1";
    world.advance(6000);
    world.loses = () => false;
    world.advance(3000);
    alice.send("ice.restart", { attemptId: "1" }, { to: bob.address });
    bob.send("ice.restart", { attemptId: "2" }, { to: alice.address });
    expect(bob.deliveries).toEqual(["1"]);
    expect(alice.deliveries).toEqual(["2"]);
  });

  it("never let a room grow over its limit, even when all join at the same moment", () => {
    const world = new World({ membersPerRoom: 2 });
    const clients = numbers(4).map((index) => world.replica(`r${index}`).join(`acme:user${index}`));
    world.busHeld = true;
    for (const client of clients) client.send("room.join", {}, { room: "lobby" });
    world.busHeld = false;
    world.settle();
    expect(clients.filter((client) => client.of("room.join").length > 0).length).toBeLessThanOrEqual(2);
    for (const client of clients) expect(client.of("room.join").length + client.errors.length).toBe(1);
  });

  it("count a user's sessions together, and evict one that is away on another", () => {
    const world = new World({ sessionsPerUser: 2 });
    const [r1, r2] = [world.replica("r1"), world.replica("r2")];
    const [one, two] = [r1.join("acme:alice"), r2.join("acme:alice")];
    expect(r1.join("acme:alice").closed?.reason).toBe("too_many_sessions");
    two.cut();
    expect(r1.join("acme:alice").closed).toBeUndefined();
    expect(one.closed).toBeUndefined();
    expect(r2.hub.sessions).toBe(0);
  });

  it("drop what is no frame of theirs", () => {
    const replica = new World().replica("r1");
    for (const text of ["", "{}", "[]", '{"kind":"beacon","from":"a b"}', '{"kind":"link","from":"x"}']) {
      replica.hub.handleBus(text, 0);
    }
    replica.world.settle();
    expect(replica.refusals).toEqual(Array.from({ length: 5 }, () => "bad_bus_frame"));
    expect(replica.hub.replicas).toEqual([]);
  });
});

describe("a bus that loses frames", () => {
  it("costs nothing but time: each message once and in order, whoever moves where", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 0, max: 60 }), (seed, percent) => {
        const random = seededRandom(seed);
        // Nothing but the losses: at the worst of them a hand-over takes a minute.
        const patient = { helloTimeoutMs: 600_000, resumeTtlMs: 600_000 };
        const world = new World({ messageBurst: 10_000, outboxMessages: 4096, pendingMessages: 10_000, ...patient });
        const names = ["r1", "r2", "r3"];
        for (const name of names) world.replica(name);
        const sender = world.replica("r1").join("acme:sender");
        let receiver = world.replica("r2").join("acme:receiver");
        const address = receiver.address;
        world.loses = ({ text }) => !text.includes('"beacon"') && random() * 100 < percent;
        const got: unknown[] = [];
        let seen = 0;
        /** At least once: what comes again has a `seq` that was seen. */
        const collect = (): void => {
          for (const { seq, from, data } of receiver.received) {
            if (from === undefined || seq <= seen) continue;
            seen = seq;
            got.push(data.attemptId);
          }
        };
        for (const number of numbers(120)) {
          sender.send("ice.restart", { attemptId: number }, { to: address });
          if (random() < 0.3) world.advance(Math.floor(random() * 300));
          if (random() < 0.06) {
            const name = names[Math.floor(random() * 3)] ?? "r1";
            const next = receiver.resume(world.replica(name));
            while (next.of("hello").length === 0) world.advance(500);
            collect();
            receiver = next;
          }
        }
        world.advance(120_000);
        collect();
        expect(sender.errors).toEqual([]);
        expect(got).toEqual(numbers(120));
      }),
      { numRuns: 40 },
    );
  });
});
