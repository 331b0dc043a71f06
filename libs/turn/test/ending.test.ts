import { Attr, attribute } from "@culvert/stun";
import { describe, expect, it } from "vitest";
import { known, Lab, PEER, TCP, UDP6 } from "./support/lab.ts";
import { allocate, channelBind, createPermission, refresh } from "./support/requests.ts";

const ALTERNATES = [
  { ip: "9.7.7.7", port: 3478 },
  { ip: "2600::7", port: 3478 },
];

describe("draining", () => {
  it("sends new allocations elsewhere, by the family of the client's address", () => {
    const lab = new Lab();
    lab.server.setDraining({ alternates: ALTERNATES });
    const reply = allocate(lab.client());
    expect(reply.outcome).toBe(300);
    expect(reply.message?.get(Attr.AlternateServer)).toEqual(ALTERNATES[0]);
    expect(reply.message?.has(Attr.MessageIntegrity)).toBe(true);
    expect(allocate(lab.client({ listener: UDP6 })).message?.get(Attr.AlternateServer)).toEqual(ALTERNATES[1]);
  });

  it("refuses them with 508 where there is no other server of that family", () => {
    const lab = new Lab();
    lab.server.setDraining({});
    expect(allocate(lab.client()).outcome).toBe(508);
    lab.server.setDraining({ alternates: ALTERNATES.slice(1) });
    expect(allocate(lab.client()).outcome).toBe(508);
  });

  it("lets live allocations go on", () => {
    const lab = new Lab();
    const client = lab.client();
    const transactionId = lab.random.bytes(12);
    allocate(client, [], { transactionId });
    lab.server.setDraining({ alternates: ALTERNATES });
    expect(allocate(client, [], { transactionId }).outcome).toBe("success");
    expect(refresh(client).outcome).toBe("success");
    expect(createPermission(client, PEER.ip).outcome).toBe("success");
    expect(channelBind(client, 0x4000, PEER).outcome).toBe("success");
  });

  it("tells nobody who is not authenticated", () => {
    const lab = new Lab();
    lab.server.setDraining({ alternates: ALTERNATES });
    expect(allocate(lab.client(), [], { password: "wrong" }).outcome).toBe(401);
  });

  it("ends", () => {
    const lab = new Lab();
    lab.server.setDraining({});
    lab.server.setDraining(undefined);
    expect(allocate(lab.client()).outcome).toBe("success");
  });
});

describe("revocation", () => {
  const resolve = (username = "") =>
    known({ tenant: username.startsWith("umbrella") ? "umbrella" : "acme", user: username.split("/")[1] ?? "" });
  const given = () => {
    const lab = new Lab({ resolve });
    const users = ["acme/alice", "acme/bob", "umbrella/alice"];
    users.forEach((user, index) => {
      allocate(lab.client({ user, port: index + 1 }));
    });
    lab.take();
    return lab;
  };
  const left = (lab: Lab) => [...lab.server.list()].map(({ tenant, user }) => `${tenant}/${user}`);

  it("of a user ends its allocations, and closes its streams", () => {
    const lab = given();
    expect(lab.server.revoke({ tenant: "acme", user: "alice" }, lab.now)).toBe(1);
    expect(lab.take()).toEqual([
      { type: "unbind", relay: 1 },
      { type: "close", client: { listener: 1, remote: { ip: "8.8.1.1", port: 1 } } },
    ]);
    expect(left(lab)).toEqual(["acme/bob", "umbrella/alice"]);
  });

  it("of a tenant ends all of its allocations", () => {
    const lab = given();
    expect(lab.server.revoke({ tenant: "acme" }, lab.now)).toBe(2);
    expect(left(lab)).toEqual(["umbrella/alice"]);
  });

  it("of one credential leaves others of the same user", () => {
    const lab = new Lab({ resolve: () => known({ tenant: "acme", user: "alice" }) });
    allocate(lab.client({ user: "one", port: 1 }));
    allocate(lab.client({ user: "two", port: 2 }));
    expect(lab.server.revoke({ tenant: "acme", username: "one" }, lab.now)).toBe(1);
    expect([...lab.server.list()].map(({ username }) => username)).toEqual(["two"]);
  });

  it("of a signing key ends what was made with it", () => {
    const lab = new Lab({
      resolve: (username = "") => known({ tenant: "acme", user: username, kid: username === "alice" ? "k1" : "k2" }),
    });
    allocate(lab.client({ user: "alice", port: 1 }));
    allocate(lab.client({ user: "bob", port: 2 }));
    expect(lab.server.revoke({ tenant: "acme", kid: "k1" }, lab.now)).toBe(1);
    expect(left(lab)).toEqual(["acme/bob"]);
  });

  it("reaches allocations in the making and reservations", () => {
    const making = new Lab({ bind: () => undefined });
    allocate(making.client());
    making.server.revoke({ tenant: "acme", user: "alice" }, making.now);
    making.server.handleBound(1, { ok: true }, making.now);
    making.settle();
    expect(making.server.size).toBe(0);
    expect(making.outputs).toContainEqual({ type: "unbind", relay: 1 });

    const reserved = new Lab();
    allocate(reserved.client(), [attribute(Attr.EvenPort, { reserveNext: true })]);
    reserved.server.revoke({ tenant: "acme", user: "alice" }, reserved.now);
    expect(reserved.take().filter(({ type }) => type === "unbind")).toHaveLength(2);
    expect(reserved.server.pollTimeout()).toBeUndefined();
  });
});

describe("the end of a client's stream", () => {
  it("ends its allocation", () => {
    const lab = new Lab();
    const client = lab.client({ listener: TCP });
    allocate(client);
    channelBind(client, 0x4000, PEER);
    lab.take();
    lab.server.handleClientClosed(client.tuple, lab.now);
    lab.settle();
    expect(lab.events("allocation-deleted")).toMatchObject([{ reason: "client-closed", transport: "tcp" }]);
    expect(lab.take()).toEqual([{ type: "unbind", relay: 1 }]);
    expect(lab.server.pollTimeout()).toBeUndefined();
  });

  it("without one does nothing", () => {
    const lab = new Lab();
    lab.server.handleClientClosed(lab.client().tuple, lab.now);
    expect(lab.take()).toEqual([]);
  });
});

describe("termination by an operator", () => {
  it("ends the allocation of a relay", () => {
    const lab = new Lab();
    allocate(lab.client(), [attribute(Attr.AdditionalAddressFamily, 6)]);
    lab.take();
    expect(lab.server.terminate(99, lab.now)).toBe(false);
    expect(lab.server.terminate(2, lab.now)).toBe(true);
    expect(lab.take().map(({ type }) => type)).toEqual(["unbind", "unbind", "close"]);
    expect(lab.server.size).toBe(0);
  });
});

describe("the list of allocations", () => {
  it("shows what there is, and stands still while things change", () => {
    const lab = new Lab();
    const client = lab.client();
    allocate(client);
    channelBind(client, 0x4000, PEER);
    const list = lab.server.list();
    refresh(client, 0);
    expect([...lab.server.list()]).toEqual([]);
    expect([...list]).toEqual([]);
    allocate(client);
    createPermission(client, PEER.ip);
    expect([...lab.server.list()]).toMatchObject([
      {
        tenant: "acme",
        user: "alice",
        username: "alice",
        client: client.tuple,
        transport: "udp",
        createdAt: lab.now,
        relays: [{ family: 4, permissions: [{ ip: PEER.ip }], channels: [], deadline: lab.now + 600_000 }],
      },
    ]);
  });
});
