import {
  alternatesOf,
  cutSlots,
  decodeControl,
  encodeControl,
  FleetClock,
  fleetKeys,
  hkdf,
  nextRotation,
  nonceKeys,
  parseSlot,
  slotName,
} from "@culvert/fleet";
import { nodeCrypto } from "@culvert/runtime";
import { utf8Encode } from "@culvert/stun";
import { expect, test } from "vitest";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

test("an address is cut into slots that cover its ports once", () => {
  const slots = cutSlots({ ip: "192.0.2.1", min: 49_152, max: 65_535 }, 512);
  expect(slots).toHaveLength(32);
  expect(slots[0]).toBe("192.0.2.1/49152-49663");
  expect(cutSlots({ ip: "2001:db8::1", min: 50_000, max: 50_149 }, 100)).toEqual([
    "2001:db8::1/50000-50099",
    "2001:db8::1/50100-50149",
  ]);
  for (const slot of slots) expect(slotName(parseSlot(slot) ?? { ip: "", min: 0, max: 0 })).toBe(slot);
  for (const text of ["", "192.0.2.1", "192.0.2.1/5-4", "192.0.2.1/0-4", "192.0.2.1/1-65536", "a/1-2 "]) {
    expect(parseSlot(text)).toBeUndefined();
  }
});

test("HKDF gives the keys of RFC 5869, appendix A", () => {
  const key = new Uint8Array(22).fill(0x0b);
  const salt = String.fromCharCode(...Array.from({ length: 13 }, (_, index) => index));
  // A.3 has neither salt nor info; a salt of zero length is as good as one of 32 zeros.
  expect(hex(hkdf(nodeCrypto, key, { info: "", length: 42 }))).toBe(
    "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
  );
  expect(hkdf(nodeCrypto, key, { salt, info: "x" })).not.toEqual(hkdf(nodeCrypto, key, { info: "x" }));
});

test("keys of different purposes, secrets and times share nothing", () => {
  const secrets = ["one secret of a fleet, long enough", "another secret of it, as long as that"];
  const all = [
    ...fleetKeys(nodeCrypto, secrets, "mesh"),
    ...fleetKeys(nodeCrypto, secrets, "ticket"),
    ...nonceKeys(nodeCrypto, secrets, { now: 7_200_000, rotationMs: 3_600_000 }),
  ].map(hex);
  expect(new Set(all).size).toBe(2 + 2 + 6);
  expect(all.every((key) => key.length === 64)).toBe(true);
});

test("a nonce's key is accepted through the time after its own, and by a relay that is ahead", () => {
  const rotationMs = 3_600_000;
  const at = (now: number) => nonceKeys(nodeCrypto, ["the secret"], { now, rotationMs }).map(hex);
  const [first] = at(0);
  expect(at(rotationMs)).toContain(first);
  expect(at(2 * rotationMs)).not.toContain(first);
  expect(at(-rotationMs)).toContain(first);
  expect(nextRotation(rotationMs + 5, rotationMs)).toBe(2 * rotationMs);
});

test("while secrets are changed, relays with the old and the new first accept each other's nonces", () => {
  const options = { now: 0, rotationMs: 3_600_000 };
  const [older] = nonceKeys(nodeCrypto, ["old", "new"], options).map(hex);
  const [newer] = nonceKeys(nodeCrypto, ["new", "old"], options).map(hex);
  expect(nonceKeys(nodeCrypto, ["new", "old"], options).map(hex)).toContain(older);
  expect(nonceKeys(nodeCrypto, ["old", "new"], options).map(hex)).toContain(newer);
});

test("the clock's offset is that of the shortest round trip lately", () => {
  const clock = new FleetClock();
  expect(clock.offset).toBe(0);
  clock.add({ sent: 0, received: 500, fleet: 301_000 });
  clock.add({ sent: 1_000, received: 1_002, fleet: 301_001 });
  clock.add({ sent: 2_000, received: 2_400, fleet: 302_390 });
  expect(clock.offset).toBe(300_000);
  expect(clock.error).toBe(1);
  for (let at = 0; at < 60; at++) clock.add({ sent: at, received: at + 4, fleet: at + 302 });
  expect(clock.offset).toBe(300);
});

test("alternates are the least loaded with room, one address of each family", () => {
  const relay = (identity: string, allocations: number, draining = false) => ({
    identity,
    instance: identity,
    sentAt: 0,
    contact: [],
    turn: [
      { ip: `192.0.2.${identity.charCodeAt(0)}`, port: 3478 },
      { ip: `192.0.2.${identity.charCodeAt(0)}`, port: 80 },
      { ip: `2001:db8::${identity.charCodeAt(0)}`, port: 3478 },
    ],
    load: { allocations, capacity: 10, draining },
  });
  const fleet = [relay("a", 9), relay("b", 10), relay("c", 2), relay("d", 0, true), relay("e", 1)];
  expect(alternatesOf(fleet, "e").map(({ ip, port }) => `${ip} ${port}`)).toEqual([
    "192.0.2.99 3478",
    "2001:db8::99 3478",
    "192.0.2.97 3478",
    "2001:db8::97 3478",
  ]);
});

test("control messages survive the wire, and what is none is dropped", () => {
  const beat = { type: "beat", identity: "a", instance: "i", sentAt: 5, reachesStore: true, leaving: false } as const;
  const messages = [beat, { type: "not-mine", tuple: "udp f 192.0.2.1:5" }, { type: "slots", slots: ["x"] }] as const;
  for (const message of messages) expect(decodeControl(encodeControl(message))).toEqual(message);
  for (const text of [
    "",
    "1",
    "null",
    "{}",
    '{"type":"beat"}',
    '{"type":"slots","slots":[1]}',
    "{",
    '{"type":"new"}',
  ]) {
    expect(decodeControl(utf8Encode(text))).toBeUndefined();
  }
  expect(decodeControl(new Uint8Array(20_000).fill(0x20))).toBeUndefined();
  expect(decodeControl(Uint8Array.of(0xff, 0xfe))).toBeUndefined();
});
