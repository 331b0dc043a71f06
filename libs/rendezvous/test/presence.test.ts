import { describe, expect, it } from "vitest";
import { World } from "./world.ts";

describe("presence", () => {
  it("tells who is there now", () => {
    const replica = new World().replica();
    const [alice, bob] = [replica.join("acme:alice"), replica.join("acme:bob")];
    bob.send("presence.set", { status: "busy", note: "in a call" });
    alice.send("presence.get", { users: ["bob", "carol"] }, { id: "g" });
    expect(alice.of("presence.state")).toMatchObject([
      {
        id: "g",
        data: {
          users: [
            { user: "bob", peers: [{ peer: bob.address, status: "busy", note: "in a call", connected: true }] },
            { user: "carol", peers: [] },
          ],
        },
      },
    ]);
  });

  it("follows those that are watched, until they are not", () => {
    const replica = new World().replica();
    const alice = replica.join("acme:alice");
    alice.send("presence.watch", { users: ["bob"] });
    const bob = replica.join("acme:bob");
    bob.send("presence.set", { status: "busy", note: "x" });
    bob.send("presence.set", { status: "busy", note: "x" });
    bob.send("room.join", {}, { room: "r" });
    bob.send("bye", {});
    const about = { user: "bob", peer: bob.address };
    expect(alice.of("presence.update").map(({ data }) => data)).toEqual([
      { ...about, online: true, status: "available" },
      { ...about, online: true, status: "busy", note: "x" },
      { ...about, online: false },
    ]);
    alice.send("presence.unwatch", { users: ["bob"] });
    replica.join("acme:bob");
    expect(alice.of("presence.update")).toHaveLength(3);
  });

  it("limits how many one session watches", () => {
    const alice = new World({ watchesPerSession: 2 }).replica().join("acme:alice");
    alice.send("presence.watch", { users: ["a", "b"] });
    alice.send("presence.watch", { users: ["b"] });
    alice.send("presence.watch", { users: ["c"] });
    expect(alice.errors).toEqual(["too_many_watches"]);
  });
});
