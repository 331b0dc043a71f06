import { Method } from "@culvert/stun";
import { mustDecode } from "@culvert/testkit";
import { describe, expect, it } from "vitest";
import { Lab, PEER } from "./support/lab.ts";
import { allocate, channelBind, createPermission, refresh, relayedOf, sendAttributes } from "./support/requests.ts";

const LOCAL = "10.0.0.7";
const BEFORE = "198.51.100.1";
const AFTER = "198.51.100.2";
const DATA = Uint8Array.of(1, 2, 3);

const given = () => {
  const lab = new Lab({ config: { relays: [{ ip: LOCAL, external: BEFORE }] } });
  const old = lab.client({ port: 1 });
  const relayed = relayedOf(allocate(old));
  const move = (external: string | undefined) =>
    lab.server.setRelays([external === undefined ? { ip: LOCAL } : { ip: LOCAL, external }], lab.now);
  return { lab, old, relayed, move };
};

describe("a change of the external address", () => {
  it("is told to new allocations; those that live keep theirs and are not disturbed", () => {
    const { lab, old, relayed, move } = given();
    channelBind(old, 0x4000, PEER);
    lab.take();
    expect(move(AFTER)).toBe(1);
    expect(lab.take()).toEqual([]);
    expect(relayed.ip).toBe(BEFORE);
    expect(relayedOf(allocate(lab.client({ port: 2 }))).ip).toBe(AFTER);
    expect(refresh(old).outcome).toBe("success");
    expect(lab.server.snapshot(1)?.relays[0]?.relayed).toEqual(relayed);
    expect(old.sendChannelData(0x4000, DATA)).toHaveLength(1);
  });

  it("gives out no port twice: both addresses are the same ports of this host", () => {
    const lab = new Lab({ config: { relays: [{ ip: LOCAL, external: BEFORE }], ports: { min: 50_000, max: 50_003 } } });
    const ports = [1, 2].map((port) => relayedOf(allocate(lab.client({ port }))).port);
    lab.server.setRelays([{ ip: LOCAL, external: AFTER }], lab.now);
    ports.push(...[3, 4].map((port) => relayedOf(allocate(lab.client({ port }))).port));
    expect(new Set(ports).size).toBe(4);
    expect(allocate(lab.client({ port: 5 })).outcome).toBe(508);
  });

  it("leaves the former address a relayed one while somebody has it, and another host's afterwards", () => {
    const { lab, old, relayed, move } = given();
    move(AFTER);
    const fresh = lab.client({ port: 2 });
    allocate(fresh);
    expect(createPermission(fresh, BEFORE).outcome).toBe("success");
    const [sent] = fresh.indicate(Method.Send, sendAttributes(relayed, DATA));
    expect(sent).toMatchObject({ type: "send", to: "peer", peer: { ip: LOCAL, port: relayed.port } });
    refresh(old, 0);
    expect(move(AFTER)).toBe(0);
    lab.settle();
    // A documentation address, which is no peer.
    expect(createPermission(fresh, BEFORE).outcome).toBe(403);
  });

  it("leaves two clients who know each other by the former address in touch", () => {
    const { lab, old, relayed, move } = given();
    const other = lab.client({ port: 2 });
    const others = relayedOf(allocate(other));
    createPermission(old, others.ip);
    move(AFTER);
    const [data] = old.received(peerInput(lab, 1, { ip: LOCAL, port: others.port }));
    expect(data && mustDecode(data).transactionId).toHaveLength(12);
    expect(data && Buffer.from(data).includes(Buffer.from(DATA))).toBe(true);
    expect(relayed.ip).toBe(others.ip);
  });

  it("to the address of this host itself is one, too", () => {
    const { lab, move } = given();
    move(undefined);
    const client = lab.client({ port: 2 });
    expect(relayedOf(allocate(client)).ip).toBe(LOCAL);
    createPermission(client, LOCAL);
    expect(client.received(peerInput(lab, 2, { ip: LOCAL, port: 50_000 }))).toHaveLength(1);
  });
});

describe("a change of the external address where ports come in slots", () => {
  const slot = (external: string, lease: number, open = true) => ({
    slot: `${external}/50000-50003`,
    lease,
    ip: LOCAL,
    external,
    ports: { min: 50_000, max: 50_003 },
    open,
  });

  it("is a slot more on the same ports: those of the former one live on, no port is given out twice", () => {
    const lab = new Lab({ config: { slots: true, relays: [{ ip: LOCAL, external: BEFORE }] } });
    lab.server.setSlots([slot(BEFORE, 1)], lab.now);
    const before = [1, 2].map((port) => relayedOf(allocate(lab.client({ port }))));
    lab.server.setRelays([{ ip: LOCAL, external: AFTER }], lab.now);
    lab.server.setSlots([slot(BEFORE, 1, false), slot(AFTER, 2)], lab.now);
    const after = [3, 4].map((port) => relayedOf(allocate(lab.client({ port }))));
    expect(before.map(({ ip }) => ip)).toEqual([BEFORE, BEFORE]);
    expect(after.map(({ ip }) => ip)).toEqual([AFTER, AFTER]);
    expect(new Set([...before, ...after].map(({ port }) => port)).size).toBe(4);
    expect(allocate(lab.client({ port: 5 })).outcome).toBe(508);
    // The former one ends: its ports are free for the other.
    refresh(lab.client({ port: 1 }), 0);
    lab.server.setSlots([slot(AFTER, 2)], lab.now);
    lab.settle();
    expect(lab.server.size).toBe(2);
    expect([6, 7, 8].map((port) => allocate(lab.client({ port })).outcome)).toEqual(["success", "success", 508]);
  });
});

function peerInput(lab: Lab, relay: number, from: { readonly ip: string; readonly port: number }) {
  lab.take();
  lab.server.handlePeerInput(relay, from, DATA, lab.now);
  return lab.take();
}
