import { Attr, attribute, type EncodedAttribute, Method, type TransportAddress } from "@culvert/stun";
import type { RequestChanges } from "@culvert/testkit";
import { expect, test } from "vitest";
import { startPeer, startRelay, USER } from "./harness.ts";
import { channelAttributes, peerAttribute, sendAttributes, UDP_TRANSPORT } from "./requests.ts";
import { relayedOf, Wire } from "./wire.ts";

const BOB = { username: "bob", password: "builder" };
const asBob: RequestChanges = BOB;
const MARK = new Uint8Array([7]);

const RELAY = { auth: { users: [USER, BOB] } };

const requests = (peer: TransportAddress): readonly (readonly [number, readonly EncodedAttribute[]])[] => [
  [Method.Allocate, [UDP_TRANSPORT]],
  [Method.Refresh, [attribute(Attr.Lifetime, 0)]],
  [Method.Refresh, [attribute(Attr.Lifetime, 3600)]],
  [Method.CreatePermission, [peerAttribute(peer)]],
  [Method.ChannelBind, channelAttributes(0x4000, peer)],
];

test("another user's valid request on a 5-tuple is answered with 441 and changes nothing", async () => {
  const relay = await startRelay(RELAY);
  const [friend, foe] = [await startPeer({ echo: false }), await startPeer({ ip: "127.0.0.2", echo: false })];
  const alice = await Wire.open(relay);
  await alice.request(Method.Allocate, [UDP_TRANSPORT]);
  await alice.request(Method.CreatePermission, [peerAttribute(friend.address)]);
  for (const [method, attributes] of requests(foe.address)) {
    expect((await alice.request(method, attributes, asBob)).outcome).toBe(441);
  }
  expect(relay.service.allocations()).toBe(1);
  alice.indicate(Method.Send, sendAttributes(foe.address, MARK));
  alice.indicate(Method.Send, sendAttributes(friend.address, MARK));
  await expect.poll(() => friend.received.length).toBe(1);
  expect(foe.received).toEqual([]);
  expect((await alice.request(Method.Refresh)).outcome).toBe("success");
});

test("another user's reservation token is answered with 441 and stays good for its owner", async () => {
  const relay = await startRelay(RELAY);
  const alice = await Wire.open(relay);
  const even = [UDP_TRANSPORT, attribute(Attr.EvenPort, { reserveNext: true })];
  const first = await alice.request(Method.Allocate, even);
  const token = first.message?.get(Attr.ReservationToken);
  if (token === undefined) throw new Error("no token");
  const claim = [UDP_TRANSPORT, attribute(Attr.ReservationToken, token)];
  const bob = await Wire.open(relay, BOB);
  expect((await bob.request(Method.Allocate, claim)).outcome).toBe(441);
  const second = await Wire.open(relay);
  expect(relayedOf(await second.request(Method.Allocate, claim)).port).toBe(relayedOf(first).port + 1);
});

test("an allocation does not follow its owner's credentials to another 5-tuple", async () => {
  const relay = await startRelay(RELAY);
  const [alice, other] = [await Wire.open(relay), await Wire.open(relay)];
  await alice.request(Method.Allocate, [UDP_TRANSPORT]);
  expect((await other.request(Method.Refresh, [attribute(Attr.Lifetime, 0)])).outcome).toBe(437);
  expect(relay.service.allocations()).toBe(1);
});
