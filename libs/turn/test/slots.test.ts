import { Attr, attribute } from "@culvert/stun";
import type { BindResult, SlotConfig } from "@culvert/turn";
import { describe, expect, it } from "vitest";
import { Lab, type LabOptions, PEER, RELAY_IP, RELAY_IP6 } from "./support/lab.ts";
import { allocate, createPermission, refresh, relayedOf } from "./support/requests.ts";

const slot = (first: number, options: Partial<SlotConfig> = {}): SlotConfig => {
  const { ip = RELAY_IP, ports = { min: first, max: first + 3 } } = options;
  return { slot: `${ip}/${ports.min}-${ports.max}`, lease: first, ip, ports, ...options };
};

const slotted = (slots: readonly SlotConfig[], options: LabOptions = {}): Lab => {
  const lab = new Lab({ ...options, config: { slots: true, ...options.config } });
  lab.server.setSlots(slots, lab.now);
  return lab;
};

const clientAt = (lab: Lab, port: number) => lab.client({ port });
const portsOf = (lab: Lab, count: number, first = 1) =>
  Array.from({ length: count }, (_, index) => allocate(clientAt(lab, first + index))).map((reply) =>
    reply.outcome === "success" ? relayedOf(reply).port : reply.outcome,
  );
const reasons = (lab: Lab) => lab.events("allocation-deleted").map(({ reason }) => reason);

describe("relayed ports that come in slots", () => {
  it("are none before the first slot is held: 508, and 440 only for a family that is never there", () => {
    const lab = new Lab({ config: { slots: true, relays: [{ ip: RELAY_IP }] } });
    expect(allocate(lab.client()).outcome).toBe(508);
    expect(allocate(lab.client(), [attribute(Attr.RequestedAddressFamily, 6)]).outcome).toBe(440);
  });

  it("are those of all open slots, and no others", () => {
    const lab = slotted([slot(50_000), slot(60_000)]);
    const ports = portsOf(lab, 9);
    expect(new Set(ports.slice(0, 8))).toEqual(
      new Set([50_000, 50_001, 50_002, 50_003, 60_000, 60_001, 60_002, 60_003]),
    );
    expect(ports[8]).toBe(508);
  });

  it("are bound under the lease of their slot", () => {
    const lab = slotted([slot(50_000, { lease: 7 })]);
    allocate(lab.client());
    expect(lab.outputs.find(({ type }) => type === "bind")).toMatchObject({ lease: 7 });
    expect(lab.events("allocation-created")).toMatchObject([{ slot: `${RELAY_IP}/50000-50003` }]);
    expect([...lab.server.list()][0]?.relays[0]?.slot).toBe(`${RELAY_IP}/50000-50003`);
  });

  it("of a slot that is handed over are given out no more, while those there are go on", () => {
    const lab = slotted([slot(50_000), slot(60_000)]);
    portsOf(lab, 4);
    const held = lab.server.size;
    lab.server.setSlots([slot(50_000, { open: false }), slot(60_000)], lab.now);
    const fresh = portsOf(lab, 8, 100).filter((port) => port !== 508);
    expect(fresh.every((port) => Number(port) >= 60_000)).toBe(true);
    expect(reasons(lab)).toEqual([]);
    expect(lab.server.size).toBe(held + fresh.length);
    expect(refresh(clientAt(lab, 1)).outcome).toBe("success");
    // Open again: all that is free is given out.
    const free = 8 - lab.server.size;
    lab.server.setSlots([slot(50_000), slot(60_000)], lab.now);
    expect(portsOf(lab, 8, 200).filter((port) => port !== 508)).toHaveLength(free);
  });

  it("of a slot that is lost end: their sockets are closed, their allocations over as fenced", () => {
    const lab = slotted([slot(50_000), slot(60_000)]);
    const ports = portsOf(lab, 8);
    createPermission(clientAt(lab, 1), PEER.ip);
    lab.take();
    lab.server.setSlots([slot(60_000)], lab.now);
    expect(lab.server.size).toBe(4);
    const events = lab.events("allocation-deleted");
    expect(events.map(({ reason, slot: name }) => [reason, name])).toEqual(
      Array.from({ length: 4 }, () => ["fenced", `${RELAY_IP}/50000-50003`]),
    );
    expect(lab.take().filter(({ type }) => type === "unbind")).toHaveLength(4);
    const lost = ports.findIndex((port) => Number(port) < 60_000);
    expect(refresh(clientAt(lab, 1 + lost)).outcome).toBe(437);
    expect(portsOf(lab, 1, 100)).toEqual([508]);
  });

  it("of a slot that another server carries on end as handed over", () => {
    const lab = slotted([slot(50_000)]);
    portsOf(lab, 2);
    lab.server.setSlots([], lab.now, "handed-over");
    lab.settle();
    expect(reasons(lab)).toEqual(["handed-over", "handed-over"]);
  });

  it("end where the same slot is there under another lease: it was another's meanwhile", () => {
    const lab = slotted([slot(50_000, { lease: 1 })]);
    portsOf(lab, 2);
    lab.server.setSlots([slot(50_000, { lease: 2 })], lab.now);
    lab.settle();
    expect(reasons(lab)).toEqual(["fenced", "fenced"]);
    expect(portsOf(lab, 5, 100).filter((port) => port === 508)).toHaveLength(1);
  });

  it("stay where the slots are told again as they are", () => {
    const lab = slotted([slot(50_000), slot(60_000)]);
    portsOf(lab, 4);
    lab.server.setSlots([slot(60_000), slot(50_000)], lab.now);
    expect(lab.server.size).toBe(4);
    expect(lab.events("allocation-deleted")).toEqual([]);
  });

  it("end both addresses of an allocation when one of them is lost", () => {
    const six = slot(50_000, { ip: RELAY_IP6 });
    const lab = slotted([slot(50_000), six]);
    const client = lab.client();
    expect(allocate(client, [attribute(Attr.AdditionalAddressFamily, 6)]).outcome).toBe("success");
    lab.server.setSlots([slot(50_000)], lab.now);
    lab.settle();
    expect(reasons(lab)).toEqual(["fenced"]);
    expect(lab.server.pollTimeout()).toBeUndefined();
  });

  it("are even and come in pairs inside of one slot", () => {
    const odd = slot(50_001, { ports: { min: 50_001, max: 50_003 } });
    const next = slot(50_004, { ports: { min: 50_004, max: 50_004 } });
    const lab = slotted([odd, next]);
    const pair = attribute(Attr.EvenPort, { reserveNext: true });
    const reply = allocate(clientAt(lab, 1), [pair]);
    expect(relayedOf(reply).port).toBe(50_002);
    // 50004 is even, but its next is nobody's here.
    expect(allocate(clientAt(lab, 2), [pair]).outcome).toBe(508);
    expect(relayedOf(allocate(clientAt(lab, 2), [attribute(Attr.EvenPort, { reserveNext: false })])).port).toBe(50_004);
  });

  it("that are reserved end with their slot", () => {
    const lab = slotted([slot(50_000), slot(60_000)]);
    const client = clientAt(lab, 1);
    const reply = allocate(client, [attribute(Attr.EvenPort, { reserveNext: true })]);
    const token = reply.message?.get(Attr.ReservationToken) ?? new Uint8Array(8);
    const rest = relayedOf(reply).port < 60_000 ? slot(60_000) : slot(50_000);
    lab.server.setSlots([rest], lab.now);
    expect(lab.server.size).toBe(0);
    expect(allocate(clientAt(lab, 2), [attribute(Attr.ReservationToken, token)]).outcome).toBe(508);
    expect(lab.server.pollTimeout()).toBeUndefined();
  });
});

describe("a slot that is lost while an allocation is being made", () => {
  it("before its socket is open: it gets a port of another slot", () => {
    const lab = slotted([slot(50_000)], { bind: () => undefined });
    const client = lab.client();
    allocate(client);
    lab.server.setSlots([slot(60_000)], lab.now);
    const binds = lab.take().flatMap((output) => (output.type === "bind" ? [output] : []));
    expect(binds.map(({ local }) => Math.floor(local.port / 10_000))).toEqual([5, 6]);
    lab.server.handleBound(binds[0]?.relay ?? 0, { ok: true }, lab.now);
    expect(lab.server.size).toBe(0);
    lab.server.handleBound(binds[1]?.relay ?? 0, { ok: true }, lab.now);
    expect(lab.server.size).toBe(1);
  });

  it("after that: it is answered like a full server's, and taken back", () => {
    const lab = slotted([slot(50_000)], { config: { admission: { onUnavailable: "refuse" } } });
    const client = lab.client();
    allocate(client);
    lab.server.setSlots([slot(60_000)], lab.now);
    lab.settle();
    expect(lab.events("request").at(-1)?.code).toBe(508);
    expect(lab.events("admission-unused")).toHaveLength(1);
    lab.server.handleAnswer(lab.asks()[0]?.id ?? 0, { kind: "granted" }, lab.now);
    expect(lab.server.size).toBe(0);
    expect(lab.server.pollTimeout()).toBeUndefined();
  });

  it("and its socket turns out to be in use: the port is not given out when the slot is back", () => {
    const answers: BindResult[] = [{ ok: false, reason: "in-use" }];
    const one = slot(50_000, { ports: { min: 50_000, max: 50_000 } });
    const lab = slotted([one], { bind: () => answers.shift() ?? { ok: true } });
    expect(portsOf(lab, 1)).toEqual([508]);
    lab.server.setSlots([], lab.now);
    lab.server.setSlots([one], lab.now);
    lab.advance(61_000);
    expect(portsOf(lab, 2)).toEqual([50_000, 508]);
  });
});

describe("an address that came with a slot", () => {
  const EXTERNAL = "203.0.114.9";
  const moved = slot(50_000, { ip: "192.0.2.44", external: EXTERNAL });

  it("is told to clients by its external name", () => {
    const lab = slotted([moved]);
    expect(relayedOf(allocate(lab.client())).ip).toBe(EXTERNAL);
    expect(lab.outputs.find(({ type }) => type === "bind")).toMatchObject({ local: { ip: "192.0.2.44" } });
  });

  it("is a peer for its relay ports only, and is reached by its local one, for live permissions, too", () => {
    const lab = slotted([slot(60_000)]);
    const client = lab.client();
    allocate(client);
    createPermission(client, EXTERNAL);
    lab.take();
    lab.server.setSlots([slot(60_000), moved], lab.now);
    expect(lab.take()).toContainEqual({
      type: "upsert",
      entry: expect.objectContaining({
        kind: "permission",
        ip: EXTERNAL,
        wireIp: "192.0.2.44",
        ports: { min: 50_000, max: 50_003 },
      }),
    });
    lab.server.setSlots([slot(60_000)], lab.now);
    const [entry] = lab.take().flatMap((output) => (output.type === "upsert" ? [output.entry] : []));
    expect(entry).toMatchObject({ ip: EXTERNAL });
    expect(entry).toHaveProperty("wireIp", undefined);
  });
});
