import { describe, expect, it } from "vitest";
import { World } from "./world.ts";

const room = "stand-up";

describe("rooms", () => {
  it("tells who is there, who comes and who goes, and why", () => {
    const world = new World();
    const replica = world.replica();
    const [alice, bob, carol] = [replica.join("acme:alice"), replica.join("acme:bob"), replica.join("acme:carol")];
    alice.send("room.join", {}, { room, id: "j" });
    expect(alice.of("room.join")).toMatchObject([{ id: "j", room, data: { members: [] } }]);
    bob.send("room.join", {}, { room });
    expect(bob.of("room.join")[0]?.data).toEqual({
      members: [{ peer: alice.address, status: "available", connected: true }],
    });
    carol.send("room.join", {}, { room });
    bob.send("room.leave", {}, { room, id: "l" });
    expect(bob.of("room.leave")).toMatchObject([{ id: "l", room }]);
    carol.send("bye", {});
    expect(alice.of("room.event").map(({ data }) => data)).toEqual([
      { event: "join", peer: bob.address },
      { event: "join", peer: carol.address },
      { event: "leave", peer: bob.address, reason: "left" },
      { event: "leave", peer: carol.address, reason: "bye" },
    ]);
    expect(bob.of("room.event").map(({ data }) => data.peer)).toEqual([carol.address]);
  });

  it("keeps a member that is away until its session is over", () => {
    const world = new World();
    const replica = world.replica();
    const [alice, bob] = [replica.join("acme:alice"), replica.join("acme:bob")];
    for (const member of [alice, bob]) member.send("room.join", {}, { room });
    bob.cut();
    expect(alice.of("room.event")).toHaveLength(1);
    alice.send("room.join", {}, { room });
    expect(alice.of("room.join")[1]?.data).toEqual({
      members: [{ peer: bob.address, status: "available", connected: false }],
    });
    world.advance(60_000);
    expect(alice.of("room.event")[1]?.data).toEqual({ event: "leave", peer: bob.address, reason: "expired" });
  });

  it("carries messages to all other members, and only from members", () => {
    const replica = new World().replica();
    const [alice, bob, carol] = [replica.join("acme:alice"), replica.join("acme:bob"), replica.join("acme:carol")];
    for (const member of [alice, bob]) member.send("room.join", {}, { room });
    alice.send("room.event", { event: "message", body: "hi" }, { room, id: "m" });
    carol.send("room.event", { event: "message", body: "let me in" }, { room });
    expect(bob.of("room.event").at(-1)).toMatchObject({
      id: "m",
      room,
      from: alice.address,
      data: { event: "message", body: "hi" },
    });
    expect(alice.deliveries).toEqual([]);
    expect(carol.errors).toEqual(["not_in_room"]);
    carol.send("room.leave", {}, { room });
    expect(carol.errors).toEqual(["not_in_room", "not_in_room"]);
  });

  it.each(["a.b", "*", ">", " ", "a b", "../x", "%n", "constructor", "__proto__", "ä", "x".repeat(128)])(
    "takes the name %j for no more than a name",
    (name) => {
      const replica = new World().replica();
      const [alice, bob] = [replica.join("acme:alice"), replica.join("acme:bob")];
      alice.send("room.join", {}, { room: name });
      bob.send("room.join", {}, { room: "other" });
      expect(alice.of("room.join")[0]?.data).toEqual({ members: [] });
      expect(alice.of("room.event")).toEqual([]);
    },
  );

  it("is full at its limit", () => {
    const replica = new World({ membersPerRoom: 2, roomsPerSession: 2 }).replica();
    const [alice, bob, carol] = [replica.join("acme:alice"), replica.join("acme:bob"), replica.join("acme:carol")];
    for (const member of [alice, bob, carol]) member.send("room.join", {}, { room });
    expect(carol.of("error")[0]?.data).toMatchObject({ code: "room_full", retryAfter: 5 });
    for (const name of ["two", "three"]) alice.send("room.join", {}, { room: name });
    expect(alice.errors).toEqual(["too_many_rooms"]);
    bob.send("room.leave", {}, { room });
    carol.send("room.join", {}, { room });
    expect(carol.of("room.join")).toHaveLength(1);
  });
});
