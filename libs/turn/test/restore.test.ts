import { Attr, attribute, Method } from "@culvert/stun";
import type { AllocationSnapshot, BindResult, RestoreOptions } from "@culvert/turn";
import { describe, expect, it } from "vitest";
import { known, Lab, type LabClient, type LabOptions, PEER, policy, RELAY_IP, RELAY_IP6, TCP } from "./support/lab.ts";
import {
  allocate,
  channelBind,
  createPermission,
  ENC,
  refresh,
  relayedOf,
  ticketOf,
  UDP_TRANSPORT,
} from "./support/requests.ts";
import { tableOf } from "./support/table.ts";

const NO_TICKET = attribute(Attr.MobilityTicket, new Uint8Array(0));
const TICKET_KEYS = { mobility: "allowed", ticketKeys: [new Uint8Array(32).fill(9)] } as const;

/** As a record does: what comes back is not the same object. */
const stored = (snapshot: AllocationSnapshot | undefined): AllocationSnapshot => {
  if (snapshot === undefined) throw new Error("no snapshot");
  return JSON.parse(JSON.stringify(snapshot));
};

/** A server with an allocation that has a permission and a channel. */
function before(options: LabOptions = {}): { lab: Lab; client: LabClient; snapshot: AllocationSnapshot } {
  const lab = new Lab(options);
  const client = lab.client();
  allocate(client);
  createPermission(client, "9.9.9.10");
  channelBind(client, 0x4000, PEER);
  return { lab, client, snapshot: stored(lab.server.snapshot(1)) };
}

function after(snapshot: AllocationSnapshot, options: LabOptions = {}, restore: RestoreOptions = {}): Lab {
  const lab = new Lab({ seed: 2, ...options });
  lab.server.restore(snapshot, lab.now, restore);
  lab.settle();
  return lab;
}

/** The same client at another server. */
function twin(lab: Lab, { tuple, session }: LabClient): LabClient {
  const client = lab.client({ listener: tuple.listener, ...tuple.remote });
  client.session.challenge = session.challenge;
  return client;
}

const failures = (lab: Lab) => lab.events("restore-failed").map(({ reason }) => reason);

describe("a snapshot", () => {
  it("says all that there is, and no secret", () => {
    const { lab, client, snapshot } = before();
    const [created] = lab.events("allocation-created");
    expect(snapshot).toEqual({
      version: 1,
      record: created?.record,
      client: client.tuple,
      transport: "udp",
      tenant: "acme",
      user: "alice",
      username: "alice",
      claims: { tenant: "acme", user: "alice" },
      createdAt: lab.now,
      transaction: expect.stringMatching(/^[A-Za-z0-9_-]{16}$/),
      relays: [
        {
          family: 4,
          local: created?.relayed[0],
          relayed: created?.relayed[0],
          expiresAt: lab.now + 600_000,
          lifetimeMs: 600_000,
          permissions: [
            { ip: "9.9.9.10", expiresAt: lab.now + 300_000 },
            { ip: PEER.ip, expiresAt: lab.now + 300_000 },
          ],
          channels: [{ number: 0x4000, peer: PEER, expiresAt: lab.now + 600_000 }],
        },
      ],
    });
    expect(JSON.stringify(snapshot)).not.toContain("secret");
  });

  it("of an allocation that is over is none", () => {
    const { lab, client } = before();
    refresh(client, 0);
    expect(lab.server.snapshot(1)).toBeUndefined();
    expect(lab.server.snapshot(7)).toBeUndefined();
  });
});

describe("a change", () => {
  it("is told once until it has been looked at, and again after that", () => {
    const lab = new Lab({ config: { changes: true } });
    const client = lab.client();
    allocate(client);
    const changes = () => {
      const count = lab.outputs.filter(({ type }) => type === "changed").length;
      lab.outputs = [];
      return count;
    };
    expect(changes()).toBe(1);
    createPermission(client, PEER.ip);
    expect(changes()).toBe(0);
    for (const change of [
      () => void refresh(client),
      () => void createPermission(client, PEER.ip),
      () => void channelBind(client, 0x4000, PEER),
      () => lab.server.setPolicy(policy({ deny: [PEER.ip] }), lab.now),
    ]) {
      lab.server.snapshot(1);
      change();
      change();
      lab.settle();
      expect(changes()).toBe(1);
    }
  });

  it("is no more told of where nobody asked for it", () => {
    const { lab } = before();
    expect(lab.outputs.some(({ type }) => type === "changed")).toBe(false);
  });

  it("is not what the record tells by itself: that something is over", () => {
    const lab = new Lab({ config: { changes: true } });
    const client = lab.client();
    allocate(client);
    createPermission(client, PEER.ip);
    lab.server.snapshot(1);
    lab.outputs = [];
    lab.advance(300_000);
    expect(lab.outputs.map(({ type }) => type)).toEqual(["revoke"]);
  });
});

describe("an allocation that is restored", () => {
  it("has the same port and the same table, and says that it was restored", () => {
    const { lab: old, snapshot } = before();
    const lab = after(snapshot);
    expect(tableOf(lab.outputs, lab.now)).toEqual(tableOf(old.outputs, old.now));
    expect(stored(lab.server.snapshot(1))).toEqual(snapshot);
    expect(lab.events("allocation-restored")).toMatchObject([
      { record: snapshot.record, user: "alice", relayed: [snapshot.relays[0]?.relayed] },
    ]);
    expect(lab.events("allocation-created")).toEqual([]);
    expect(lab.events("permission-created")).toEqual([]);
  });

  it("serves its client as before, with the nonce that it has", () => {
    const { client, snapshot } = before();
    const lab = after(snapshot);
    const same = twin(lab, client);
    expect(refresh(same).outcome).toBe("success");
    expect(createPermission(same, PEER.ip).outcome).toBe("success");
    expect(same.sendChannelData(0x4000, ENC.encode("x"))).toMatchObject([{ to: "peer", peer: PEER }]);
    expect(allocate(same).outcome).toBe(437);
    expect(lab.events("auth-failed")).toEqual([]);
  });

  it("answers a retransmitted Allocate with the same address", () => {
    const old = new Lab();
    const client = old.client();
    client.challenge();
    const bytes = client.session.request(Method.Allocate, [UDP_TRANSPORT, attribute(Attr.AdditionalAddressFamily, 6)]);
    const first = client.replyTo(bytes.slice());
    const lab = after(stored(old.server.snapshot(1)));
    lab.advance(2000);
    const same = twin(lab, client);
    const second = same.replyTo(bytes.slice());
    expect(second.message?.getAll(Attr.XorRelayedAddress)).toEqual(first.message?.getAll(Attr.XorRelayedAddress));
    expect(second.message?.get(Attr.XorMappedAddress)).toEqual(client.tuple.remote);
    expect(second.message?.get(Attr.Lifetime)).toBe(598);
    expect(same.replyTo(bytes.slice()).outcome).toBe("success");
  });

  it("ends when it would have ended", () => {
    const { snapshot } = before();
    const lab = after(snapshot);
    lab.advance(299_999);
    expect(lab.server.snapshot(1)?.relays[0]?.permissions).toHaveLength(2);
    lab.advance(1);
    expect(lab.server.snapshot(1)?.relays[0]?.permissions).toEqual([]);
    lab.advance(300_000);
    expect(lab.server.size).toBe(0);
    expect(lab.server.pollTimeout()).toBeUndefined();
  });

  it("has its counters carry on", () => {
    const { snapshot } = before();
    const counters = { packetsToPeers: 1, bytesToPeers: 2, packetsToClient: 3, bytesToClient: 4 };
    const lab = after({ ...snapshot, relays: snapshot.relays.map((relay) => ({ ...relay, counters })) });
    expect(lab.outputs[0]).toMatchObject({ type: "bind", counters });
  });

  it("counts on the quota", () => {
    const { snapshot } = before();
    const lab = after(snapshot, { config: { limits: { allocationsPerUser: 1 } } });
    expect(allocate(lab.client({ port: 2 })).outcome).toBe(486);
    refresh(lab.client(), 0);
    expect(allocate(lab.client({ port: 2 })).outcome).toBe("success");
  });

  it("loses what is over, and what was never allowed that long is cut short", () => {
    const { snapshot } = before();
    const [relay] = snapshot.relays;
    if (relay === undefined) throw new Error("no relay");
    const far = Number.MAX_SAFE_INTEGER;
    const lab = after({
      ...snapshot,
      relays: [
        {
          ...relay,
          expiresAt: far,
          permissions: [
            { ip: "9.9.9.9", expiresAt: far },
            { ip: "9.9.9.8", expiresAt: 1 },
          ],
          channels: [
            { number: 0x4000, peer: PEER, expiresAt: far },
            { number: 0x4001, peer: { ip: "9.9.9.8", port: 1 }, expiresAt: 1 },
          ],
        },
      ],
    });
    expect(lab.server.snapshot(1)?.relays[0]).toMatchObject({
      expiresAt: lab.now + 3_600_000,
      permissions: [{ ip: "9.9.9.9", expiresAt: lab.now + 300_000 }],
      channels: [{ number: 0x4000, expiresAt: lab.now + 600_000 }],
    });
  });

  it("gets no permission that the policy of today forbids, however it is written", () => {
    const { snapshot } = before();
    const [relay] = snapshot.relays;
    if (relay === undefined) throw new Error("no relay");
    const expiresAt = Number.MAX_SAFE_INTEGER;
    const forbidden = ["127.0.0.1", "169.254.169.254", "10.0.0.1", "198.51.100.7"];
    const lab = after(
      {
        ...snapshot,
        claims: { ...snapshot.claims, peerCidrs: ["0.0.0.0/0"] },
        relays: [
          {
            ...relay,
            permissions: [...forbidden, "9.9.9.9", "9.9.9.10"].map((ip) => ({ ip, expiresAt })),
            channels: [...forbidden, "9.9.9.9", "9.9.9.10"].map((ip, index) => ({
              number: 0x4000 + index,
              peer: { ip, port: 80 },
              expiresAt,
            })),
          },
        ],
      },
      { config: { policy: policy({ deny: ["9.9.9.9"] }), changes: true } },
    );
    const restored = lab.server.snapshot(1)?.relays[0];
    expect(restored?.permissions.map(({ ip }) => ip)).toEqual(["9.9.9.10"]);
    expect(restored?.channels.map(({ peer }) => peer.ip)).toEqual(["9.9.9.10"]);
    // The record says more than there is.
    expect(lab.outputs).toContainEqual({ type: "changed", allocation: 1 });
  });

  it("keeps to what its credential allows", () => {
    const options: LabOptions = {
      resolve: () => known({ tenant: "acme", user: "alice", peerCidrs: ["9.9.9.0/24"], maxBps: 8 }),
    };
    const { client, snapshot } = before(options);
    const lab = after(snapshot, options);
    expect(createPermission(twin(lab, client), "9.9.8.1").outcome).toBe(403);
    expect(lab.outputs.find(({ type }) => type === "upsert")).toMatchObject({ entry: { maxBytesPerSecond: 8 } });
  });

  it("is another user's business no more than before", () => {
    const { snapshot } = before();
    const lab = after(snapshot);
    expect(refresh(lab.client({ user: "bob" }), 0).outcome).toBe(441);
    expect(lab.server.size).toBe(1);
  });
});

describe("an allocation of a server that ended without a word", () => {
  /** What the client was granted last did not get into the snapshot: it has 100 s left, and the client thinks of 600. */
  function abrupt(left: number, options: LabOptions = {}): { lab: Lab; client: LabClient; old: Lab } {
    const { lab: old, client, snapshot } = before(options);
    old.advance(600_000 - left);
    const lab = new Lab({ seed: 2, ...options });
    lab.advance(600_000 - left);
    lab.server.restore(snapshot, lab.now, { abrupt: true });
    lab.settle();
    return { lab, client, old };
  }

  it("lives as if it had been renewed just now", () => {
    const { lab, client } = abrupt(400_000);
    lab.advance(299_999);
    expect(lab.server.snapshot(1)?.relays[0]?.permissions).toHaveLength(2);
    lab.advance(1);
    expect(lab.server.snapshot(1)?.relays[0]?.permissions).toEqual([]);
    lab.advance(299_999);
    expect(lab.server.snapshot(1)?.relays[0]?.channels).toHaveLength(1);
    expect(lab.server.size).toBe(1);
    lab.advance(1);
    expect(lab.server.size).toBe(0);
    expect(refresh(twin(lab, client)).outcome).toBe(437);
  });

  it("lets its client refresh when that thinks that it has to", () => {
    const { lab, client } = abrupt(100_000);
    lab.advance(540_000);
    expect(refresh(twin(lab, client)).outcome).toBe("success");
    expect(stored(lab.server.snapshot(1)).relays[0]).toMatchObject({
      expiresAt: lab.now + 600_000,
      lifetimeMs: 600_000,
    });
  });

  it("has what the data plane needs for as long", () => {
    const { lab } = abrupt(100_000);
    const upserts = lab.outputs.flatMap((output) => (output.type === "upsert" ? [output.entry] : []));
    expect(upserts).toMatchObject([
      { kind: "allocation", deadline: lab.now + 600_000 },
      { kind: "channel", deadline: lab.now + 600_000 },
    ]);
  });

  it("has the lifetime that it was granted last, not the usual one", () => {
    const old = new Lab();
    const client = old.client();
    allocate(client);
    refresh(client, 3000);
    const snapshot = stored(old.server.snapshot(1));
    expect(snapshot.relays[0]).toMatchObject({ lifetimeMs: 3_000_000 });
    const lab = new Lab({ seed: 2 });
    lab.advance(2_900_000);
    lab.server.restore(snapshot, lab.now, { abrupt: true });
    lab.settle();
    expect(lab.server.snapshot(1)?.relays[0]?.expiresAt).toBe(lab.now + 3_000_000);
  });

  it("ends in the end, even if server after server ends so", () => {
    const { lab: old, snapshot } = before();
    const began = old.now;
    let last = snapshot;
    let at = 0;
    for (const step of [300_000, 500_000, 300_000]) {
      at += step;
      const lab = new Lab({ seed: at });
      lab.advance(at);
      lab.server.restore(last, lab.now, { abrupt: true });
      lab.settle();
      last = stored(lab.server.snapshot(1));
    }
    expect(last.relays[0]).toMatchObject({ expiresAt: began + 1_200_000, grantedUntil: began + 600_000 });
  });

  it("is written as what it is now", () => {
    const { lab } = abrupt(100_000, { config: { changes: true } });
    expect(lab.outputs).toContainEqual({ type: "changed", allocation: 1 });
  });

  it("does not come back when it was over", () => {
    const { lab } = abrupt(0);
    expect(failures(lab)).toEqual(["expired"]);
  });

  it("takes the ticket that was given last, of which nothing was written", () => {
    const old = new Lab({ config: TICKET_KEYS });
    const client = old.client();
    const first = allocate(client, [NO_TICKET]);
    const snapshot = stored(old.server.snapshot(1));
    const moved = old.client({ port: 4000 });
    const second = refresh(moved, undefined, [attribute(Attr.MobilityTicket, ticketOf(first))]);
    const lab = new Lab({ seed: 2, config: TICKET_KEYS });
    lab.server.restore(snapshot, lab.now, { abrupt: true });
    lab.settle();
    const next = lab.client({ port: 5000 });
    expect(refresh(next, undefined, [attribute(Attr.MobilityTicket, ticketOf(second))]).outcome).toBe("success");
    const late = lab.client({ port: 6000 });
    expect(refresh(late, undefined, [attribute(Attr.MobilityTicket, ticketOf(first))]).outcome).toBe(400);
  });
});

describe("while an allocation is restored", () => {
  it("its client waits, unanswered, instead of hearing that it has none", () => {
    const { client, snapshot } = before();
    const lab = after(snapshot, { bind: () => undefined });
    const same = twin(lab, client);
    expect(lab.server.owns(client.tuple)).toBe(true);
    expect(refresh(same).outcome).toBe("none");
    expect(allocate(same).outcome).toBe("none");
    expect(lab.drops()).toEqual(["restoring", "restoring"]);
    lab.server.handleBound(1, { ok: true }, lab.now);
    expect(refresh(same).outcome).toBe("success");
  });

  it("its port is tried for two seconds while the process that had it goes", () => {
    const { snapshot } = before();
    const answers: BindResult[] = Array.from({ length: 10 }, () => ({ ok: false, reason: "in-use" }));
    const lab = after(snapshot, { bind: () => answers.shift() ?? { ok: true } });
    lab.advance(499);
    expect(lab.server.size).toBe(0);
    lab.advance(1);
    expect(lab.server.size).toBe(1);
    expect(lab.server.snapshot(1)?.relays[0]?.relayed).toEqual(snapshot.relays[0]?.relayed);
  });

  it.each([
    ["in use", { ok: false, reason: "in-use" } as const, 2000],
    ["of an address that is not here", { ok: false, reason: "unavailable" } as const, 2000],
    ["one too many", { ok: false, reason: "no-descriptors" } as const, 0],
    ["not answered for", undefined, 2000],
  ])("its port is %s to the end: the restore fails, and nothing stays", (_, result, after2) => {
    const { snapshot } = before();
    const lab = after(snapshot, { bind: () => result });
    lab.advance(after2);
    expect(lab.events("restore-failed")).toEqual([
      { type: "event", name: "restore-failed", record: snapshot.record, reason: "bind-failed" },
    ]);
    expect(lab.server.pollTimeout()).toBeUndefined();
    expect(lab.server.owns(snapshot.client)).toBe(false);
    expect(tableOf(lab.outputs, lab.now)).toEqual({});
    expect(lab.server.size).toBe(0);
  });

  it("the slot of one of its ports is lost when that is bound already: it ends there", () => {
    const slots = [RELAY_IP, RELAY_IP6].map((ip, index) => ({
      slot: ip,
      lease: index,
      ip,
      ports: { min: 50_000, max: 50_001 },
    }));
    const old = new Lab({ config: { slots: true } });
    old.server.setSlots(slots, old.now);
    allocate(old.client(), [attribute(Attr.AdditionalAddressFamily, 6)]);
    const lab = new Lab({
      config: { slots: true },
      bind: ({ local }) => (local.ip === RELAY_IP ? { ok: true } : undefined),
    });
    lab.server.setSlots(slots, lab.now);
    lab.server.restore(stored(old.server.snapshot(1)), lab.now);
    lab.settle();
    lab.server.setSlots(slots.slice(1), lab.now);
    expect(failures(lab)).toEqual(["cancelled"]);
    expect(lab.outputs.filter(({ type }) => type === "unbind")).toHaveLength(2);
    expect(lab.server.pollTimeout()).toBeUndefined();
  });

  it("it ends by itself", () => {
    const { snapshot } = before();
    const expiresAt = Date.UTC(2026, 0, 1) + 100;
    const lab = after(
      { ...snapshot, relays: snapshot.relays.map((relay) => ({ ...relay, expiresAt })) },
      { bind: () => undefined },
    );
    lab.advance(100);
    lab.server.handleBound(1, { ok: true }, lab.now);
    lab.settle();
    expect(failures(lab)).toEqual(["expired"]);
    expect(lab.outputs).toContainEqual({ type: "unbind", relay: 1 });
    expect(lab.outputs.some(({ type }) => type === "upsert")).toBe(false);
  });

  it("one of its two ports cannot be had: the other one goes on", () => {
    const old = new Lab();
    allocate(old.client(), [attribute(Attr.AdditionalAddressFamily, 6)]);
    const lab = after(stored(old.server.snapshot(1)), {
      config: { changes: true },
      bind: ({ local }) => (local.ip === RELAY_IP ? { ok: true } : { ok: false, reason: "no-descriptors" }),
    });
    expect(lab.server.snapshot(1)?.relays.map(({ family }) => family)).toEqual([4]);
    expect(lab.outputs).toContainEqual({ type: "changed", allocation: 1 });
  });

  it.each([
    [
      "its user is revoked",
      "revoked",
      (lab: Lab) => void lab.server.revoke({ tenant: "acme", user: "alice" }, lab.now),
    ],
    [
      "the other end of its stream goes",
      "cancelled",
      (lab: Lab, snapshot: AllocationSnapshot) => lab.server.handleClientClosed(snapshot.client, lab.now),
    ],
    ["its slot is lost", "cancelled", (lab: Lab) => lab.server.setSlots([], lab.now)],
  ])("%s: it ends there", (_, reason, end) => {
    const slots = [{ slot: "a", lease: 1, ip: RELAY_IP, ports: { min: 49_152, max: 65_535 } }];
    const old = new Lab({ config: { slots: true } });
    old.server.setSlots(slots, old.now);
    allocate(old.client());
    const snapshot = stored(old.server.snapshot(1));
    const lab = new Lab({ seed: 2, config: { slots: true }, bind: () => undefined });
    lab.server.setSlots(slots, lab.now);
    lab.server.restore(snapshot, lab.now);
    lab.settle();
    end(lab, snapshot);
    lab.settle();
    expect(failures(lab)).toEqual([reason]);
    expect(lab.outputs.at(-1)?.type === "unbind" || lab.outputs.some(({ type }) => type === "unbind")).toBe(true);
    expect(lab.server.pollTimeout()).toBeUndefined();
    expect(lab.server.owns(snapshot.client)).toBe(false);
  });
});

describe("an allocation is not restored", () => {
  const { snapshot } = before();
  it.each<[string, string, (from: AllocationSnapshot) => AllocationSnapshot, LabOptions]>([
    [
      "on a listener that is not here",
      "unknown-listener",
      (from) => ({ ...from, client: { ...from.client, listener: 9 } }),
      {},
    ],
    [
      "after its end",
      "expired",
      (from) => ({ ...from, relays: from.relays.map((relay) => ({ ...relay, expiresAt: 1 })) }),
      {},
    ],
    [
      "after its credential was revoked",
      "revoked",
      (from) => from,
      { resolve: () => ({ kind: "rejected", reason: "revoked" }) },
    ],
    ["beyond the quota of today", "quota", (from) => from, { config: { limits: { allocationsPerUser: 0 } } }],
    [
      "on a port that is not this server's",
      "no-slot",
      (from) => from,
      { config: { relays: [{ ip: RELAY_IP, ports: { min: 1024, max: 1025 } }] } },
    ],
    ["in a slot that is not held", "no-slot", (from) => from, { config: { slots: true } }],
  ])("%s: %s", (_, reason, alter, options) => {
    const lab = after(alter(snapshot), options);
    expect(lab.events("restore-failed")).toEqual([
      { type: "event", name: "restore-failed", record: snapshot.record, reason },
    ]);
    expect(lab.server.size).toBe(0);
    expect(lab.server.pollTimeout()).toBeUndefined();
    expect(lab.outputs.some(({ type }) => type === "bind")).toBe(false);
  });

  it("twice, nor on another's 5-tuple or port", () => {
    const lab = after(snapshot);
    lab.server.restore(snapshot, lab.now);
    const other = { ...snapshot, record: "AAAAAAAAAAAAAAAA" };
    lab.server.restore(other, lab.now);
    const elsewhere = { listener: 1, remote: { ip: "8.8.9.9", port: 9 } };
    lab.server.restore({ ...other, client: elsewhere }, lab.now);
    lab.settle();
    expect(failures(lab)).toEqual(["exists", "tuple-taken", "port-taken"]);
    expect(lab.server.size).toBe(1);
  });

  it("because its credential is merely over, or not known here yet: then it is", () => {
    for (const reason of ["expired", "unknown-key"]) {
      const lab = after(snapshot, { resolve: () => ({ kind: "rejected", reason }) });
      expect(failures(lab)).toEqual([]);
      expect(lab.server.size).toBe(1);
    }
  });
});

describe("the client's stream", () => {
  const over = (ticket: boolean) => {
    const old = new Lab({ config: TICKET_KEYS });
    const client = old.client({ listener: TCP });
    const reply = allocate(client, ticket ? [NO_TICKET] : []);
    return { client, reply, snapshot: stored(old.server.snapshot(1)) };
  };

  it("ended with the process: without a ticket there is nothing to restore", () => {
    expect(failures(after(over(false).snapshot, { config: TICKET_KEYS }))).toEqual(["stream-gone"]);
  });

  it("ended with the process: with a ticket the client has a minute to come back", () => {
    const { snapshot, reply } = over(true);
    const lab = after(snapshot, { config: TICKET_KEYS });
    expect(lab.server.size).toBe(1);
    const back = lab.client({ listener: TCP, port: 2000 });
    const moved = refresh(back, undefined, [attribute(Attr.MobilityTicket, ticketOf(reply))]);
    expect(moved.outcome).toBe("success");
    lab.advance(120_000);
    expect(lab.server.size).toBe(1);
    const alone = after(snapshot, { config: TICKET_KEYS });
    alone.advance(60_000);
    expect(alone.server.size).toBe(0);
  });

  it("may be another server's, and live", () => {
    const { snapshot, client } = over(false);
    const lab = after(snapshot, { config: TICKET_KEYS }, { streamLives: true });
    expect(refresh(twin(lab, client)).outcome).toBe("success");
  });
});

describe("a mobile client", () => {
  it("moves at the server that restored its allocation, by the ticket that it has", () => {
    const old = new Lab({ config: TICKET_KEYS });
    const client = old.client();
    const first = ticketOf(allocate(client, [NO_TICKET]));
    const second = ticketOf(refresh(old.client({ port: 2000 }), undefined, [attribute(Attr.MobilityTicket, first)]));
    const snapshot = stored(old.server.snapshot(1));
    expect(snapshot).toMatchObject({ ticket: 1, movingTo: { remote: { port: 2000 } } });
    const lab = after(snapshot, { config: TICKET_KEYS });
    const moving = lab.client({ port: 2000 });
    expect(lab.server.owns(moving.tuple)).toBe(true);
    expect(lab.server.owns(client.tuple)).toBe(true);
    expect(refresh(moving).outcome).toBe("success");
    expect(lab.events("allocation-moved")).toHaveLength(1);
    const third = lab.client({ port: 3000 });
    expect(refresh(third, undefined, [attribute(Attr.MobilityTicket, first)]).outcome).toBe(400);
    expect(refresh(third, undefined, [attribute(Attr.MobilityTicket, second)]).outcome).toBe("success");
  });

  it("waits at both of its places while its allocation is restored", () => {
    const old = new Lab({ config: TICKET_KEYS });
    const client = old.client();
    const ticket = ticketOf(allocate(client, [NO_TICKET]));
    const moved = old.client({ port: 2000 });
    refresh(moved, undefined, [attribute(Attr.MobilityTicket, ticket)]);
    const lab = after(stored(old.server.snapshot(1)), { config: TICKET_KEYS, bind: () => undefined });
    expect(refresh(twin(lab, client)).outcome).toBe("none");
    expect(refresh(twin(lab, moved)).outcome).toBe("none");
    expect(lab.drops()).toEqual(["restoring", "restoring"]);
  });

  it("with a ticket of an allocation that is being restored waits", () => {
    const old = new Lab({ config: TICKET_KEYS });
    const ticket = ticketOf(allocate(old.client(), [NO_TICKET]));
    const lab = after(stored(old.server.snapshot(1)), { config: TICKET_KEYS, bind: () => undefined });
    const moved = lab.client({ port: 2000 });
    expect(refresh(moved, undefined, [attribute(Attr.MobilityTicket, ticket)]).outcome).toBe("none");
    expect(lab.drops()).toEqual(["restoring"]);
  });
});

describe("what is no snapshot", () => {
  const { snapshot } = before();
  const altered = (text: string): AllocationSnapshot => JSON.parse(text);

  it.each([
    "null",
    "[]",
    "1",
    '"text"',
    "{}",
    ...[
      ["version", 2],
      ["record", "short"],
      ["record", "!!!!!!!!!!!!!!!!"],
      ["client", null],
      ["client", { listener: 1, remote: { ip: "nowhere", port: 1 } }],
      ["movingTo", {}],
      ["transport", "carrier-pigeon"],
      ["tenant", 7],
      ["claims", { tenant: "acme", user: "alice", maxBps: "fast" }],
      ["claims", { tenant: "acme", user: "alice", maxBps: 0 }],
      ["claims", { tenant: "acme", user: "alice", peerCidrs: "all" }],
      ["createdAt", null],
      ["transaction", "AAAA"],
      ["ticket", -1],
      ["relays", []],
      ["relays", [snapshot.relays[0], snapshot.relays[0]]],
      ["relays", [{ ...snapshot.relays[0], family: 6 }]],
      ["relays", [{ ...snapshot.relays[0], expiresAt: "never" }]],
      ["relays", [{ ...snapshot.relays[0], permissions: {} }]],
      ["relays", [{ ...snapshot.relays[0], permissions: [{ ip: "::1", expiresAt: 1 }] }]],
      ["relays", [{ ...snapshot.relays[0], channels: [{ number: 1, peer: PEER, expiresAt: 1 }] }]],
      ["relays", [{ ...snapshot.relays[0], counters: { packetsToPeers: -1 } }]],
    ].map(([key, value]) => JSON.stringify({ ...snapshot, [String(key)]: value })),
  ])("is refused, not thrown: %s", (text) => {
    const lab = after(altered(text));
    expect(failures(lab)).toEqual(["malformed"]);
    expect(lab.server.size).toBe(0);
    expect(lab.server.pollTimeout()).toBeUndefined();
  });

  it("is named in the event where its name can be read", () => {
    const lab = after(altered(JSON.stringify({ record: snapshot.record })));
    expect(lab.events("restore-failed")[0]?.record).toBe(snapshot.record);
    expect(after(altered("{}")).events("restore-failed")[0]?.record).toBe("");
  });

  it("may have more in it than is known: that is left", () => {
    const lab = after(altered(JSON.stringify({ ...snapshot, future: true })));
    expect(failures(lab)).toEqual([]);
    expect(relayedOf(allocate(lab.client({ port: 2 }))).ip).toBe(RELAY_IP);
  });
});
