import { Attr, attribute, encodeMessage, MessageClass, Method, type TransportAddress } from "@culvert/stun";
import { expect, test } from "vitest";
import { bytes, inbox, startRelay, type TestRelay } from "./harness.ts";
import { channelAttributes, FOR_CONTROL_LOOP, peerAttribute, sendAttributes, UDP_TRANSPORT } from "./requests.ts";
import { Wire } from "./wire.ts";

const binding = encodeMessage({
  method: Method.Binding,
  class: MessageClass.Request,
  transactionId: new Uint8Array(12).fill(9),
  attributes: [attribute(Attr.Software, "through the relay"), FOR_CONTROL_LOOP],
});

const listenerPort = (relay: TestRelay): number => relay.info.listeners[0]?.port ?? 0;

const slowPath = (relay: TestRelay): Promise<number> => relay.metric("culvert_relay_slow_path_total");

/** Has a request sent to an own listener through the relay; returns how many messages the listener heard because of it. */
async function heardThroughRelay(relay: TestRelay, wire: Wire, peer: TransportAddress): Promise<number> {
  const before = await slowPath(relay);
  wire.indicate(Method.Send, sendAttributes(peer, binding));
  wire.indicate(Method.Send, sendAttributes(peer, binding));
  await wire.settled();
  await wire.settled();
  // The two Binding requests of `settled` itself.
  return (await slowPath(relay)) - before - 2;
}

// The listener on all addresses hears on those, too, that nothing is relayed on.
test.each([
  ["127.0.0.1", "127.0.0.1"],
  ["0.0.0.0", "127.0.0.1"],
  ["0.0.0.0", "127.0.0.2"],
  ["::", "127.0.0.2"],
  ["::", "::1"],
])("a listener on %s is no peer by %s, whatever is opened", async (ip, peerIp) => {
  const relay = await startRelay({ listeners: [{ transport: "udp", ip, port: 0 }], addresses: ["127.0.0.1", "::1"] });
  const wire = await Wire.open(relay, { ip: ip === "::" ? "::1" : "127.0.0.1" });
  const attributes = [UDP_TRANSPORT, attribute(Attr.AdditionalAddressFamily, 6)];
  expect((await wire.request(Method.Allocate, attributes)).outcome).toBe("success");
  const peer = { ip: peerIp, port: listenerPort(relay) };
  expect((await wire.request(Method.CreatePermission, [peerAttribute(peer)])).outcome).toBe("success");
  expect((await wire.request(Method.ChannelBind, channelAttributes(0x4000, peer))).outcome).toBe(403);
  expect(await heardThroughRelay(relay, wire, peer)).toBe(0);
});

test("two allocations with channels to each other pass each packet on once", async () => {
  const relay = await startRelay();
  const [a, b] = [await relay.connect("udp"), await relay.connect("udp")];
  const [atA, atB] = [await a.allocate(), await b.allocate()];
  await a.channelBind(atB.relayed);
  await b.channelBind(atA.relayed);
  const [fromB, fromA] = [inbox(a), inbox(b)];
  for (let index = 0; index < 10; index++) {
    a.send(atB.relayed, bytes(`a${index}`));
    expect((await fromA.next()).text).toBe(`a${index}`);
    b.send(atA.relayed, bytes(`b${index}`));
    expect((await fromB.next()).text).toBe(`b${index}`);
  }
  // Each of the twenty was relayed to a peer once and to a client once.
  expect(await relay.metric("culvert_relay_relayed_packets_total", { direction: "to_peer" })).toBe(20);
  expect(await relay.metric("culvert_relay_relayed_packets_total", { direction: "to_client" })).toBe(20);
});

test("an allocation that sends to itself gets each packet once", async () => {
  const relay = await startRelay();
  const client = await relay.connect("udp");
  const data = inbox(client);
  const { relayed } = await client.allocate();
  await client.channelBind(relayed);
  client.send(relayed, bytes("one"));
  client.send(relayed, bytes("two"));
  expect([(await data.next()).text, (await data.next()).text]).toEqual(["one", "two"]);
  await client.refresh();
  expect(await relay.metric("culvert_relay_relayed_packets_total", { direction: "to_peer" })).toBe(2);
  expect(await relay.metric("culvert_relay_relayed_packets_total", { direction: "to_client" })).toBe(2);
});
