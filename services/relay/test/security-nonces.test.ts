import { Attr, Method } from "@culvert/stun";
import { expect, test } from "vitest";
import { startRelay } from "./harness.ts";
import { UDP_TRANSPORT } from "./requests.ts";
import { Wire } from "./wire.ts";

const NONCE_KEYS = ["a nonce key that a fleet shares"];

test("a nonce that another address was told is answered with 438 and leaves no state", async () => {
  const relay = await startRelay();
  const victim = await Wire.open(relay);
  const nonce = (await victim.challenge()).message?.get(Attr.Nonce) ?? "";
  // Another port of the same address, and another address.
  for (const ip of ["127.0.0.1", "127.0.0.2"]) {
    const thief = await Wire.open(relay, { ip });
    await thief.challenge();
    expect((await thief.request(Method.Allocate, [UDP_TRANSPORT], { nonce })).outcome).toBe(438);
  }
  expect(relay.service.allocations()).toBe(0);
  expect((await victim.request(Method.Allocate, [UDP_TRANSPORT])).outcome).toBe("success");
});

test("a nonce that was made up is answered with 438, password right or wrong", async () => {
  const relay = await startRelay();
  const wire = await Wire.open(relay);
  const nonce = (await wire.challenge()).message?.get(Attr.Nonce) ?? "";
  const forgeries = [
    "",
    "x",
    nonce.slice(0, -1),
    `${nonce}A`,
    nonce.replace(/.(?=.{3}$)/, (c) => (c === "A" ? "B" : "A")),
  ];
  for (const forged of forgeries) {
    for (const password of ["wonderland", "wrong"]) {
      const { outcome } = await wire.request(Method.Allocate, [UDP_TRANSPORT], { nonce: forged, password });
      expect(`${forged} ${outcome}`).toBe(`${forged} 438`);
    }
  }
  expect(relay.service.allocations()).toBe(0);
});

test("one relay's nonce is accepted by another of the fleet, and by none besides", async () => {
  const fleet = [
    await startRelay({ auth: { nonceKeys: NONCE_KEYS } }),
    await startRelay({ auth: { nonceKeys: NONCE_KEYS } }),
  ];
  const stranger = await startRelay();
  const [first, second] = fleet;
  if (first === undefined || second === undefined) throw new Error("no fleet");
  const wire = await Wire.open(first);
  await wire.challenge();
  expect((await wire.to(second).request(Method.Allocate, [UDP_TRANSPORT])).outcome).toBe("success");
  expect((await wire.to(stranger).request(Method.Allocate, [UDP_TRANSPORT])).outcome).toBe(438);
});
