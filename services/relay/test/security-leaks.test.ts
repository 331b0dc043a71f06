import { Attr, attribute, encodeChannelData, Method } from "@culvert/stun";
import { expect, test } from "vitest";
import { inbox, startPeer, startRelay } from "./harness.ts";
import { channelAttributes, peerAttribute, UDP_TRANSPORT } from "./requests.ts";
import { StreamWire } from "./stream-wire.ts";
import { relayedOf, Wire } from "./wire.ts";

const CHANNEL = 0x4000;
/** Fills whatever memory is used again with bytes that would be seen. */
const POISON = "\u007f".repeat(4000);
const LENGTHS = [1, 2, 3, 4, 5, 6, 7];

/** The bytes between the end of each attribute's value and the next attribute (RFC 8489 section 14). */
function paddingOf(message: Buffer): readonly number[] {
  const found: number[] = [];
  for (let at = 20; at < message.length; ) {
    const end = at + 4 + message.readUInt16BE(at + 2);
    at = (end + 3) & ~3;
    found.push(...message.subarray(end, at));
  }
  return found;
}

test("padding of Data indications and responses is zero", async () => {
  const relay = await startRelay({ realm: "odd", software: "of nine b" });
  const peer = await startPeer({ echo: false });
  const wire = await Wire.open(relay);
  const answer = await wire.request(Method.Allocate, [UDP_TRANSPORT]);
  const relayed = relayedOf(answer);
  await wire.request(Method.CreatePermission, [peerAttribute(peer.address)]);
  const messages = [...(await wire.settled())];
  for (const length of LENGTHS) {
    for (const text of [POISON, "\u007f".repeat(length)]) {
      peer.send(relayed, text);
      messages.push(...(await wire.arrival()));
    }
  }
  // 401, Allocate and CreatePermission, and two Data indications for each length.
  expect(messages.length).toBe(3 + LENGTHS.length * 2);
  const padding = messages.flatMap(paddingOf);
  expect(padding.length).toBeGreaterThan(LENGTHS.length);
  expect(padding.filter((byte) => byte !== 0)).toEqual([]);
});

test("padding of ChannelData on a stream is zero, and there is none on UDP", async () => {
  const relay = await startRelay();
  const peer = await startPeer({ echo: false });
  const wire = await Wire.open(relay);
  const relayed = relayedOf(await wire.request(Method.Allocate, [UDP_TRANSPORT]));
  await wire.request(Method.ChannelBind, channelAttributes(CHANNEL, peer.address));
  await wire.settled();
  const stream = await StreamWire.open(relay);
  const overStream = (await stream.request(Method.Allocate, [UDP_TRANSPORT])).get(Attr.XorRelayedAddress);
  if (overStream === undefined) throw new Error("no relayed address");
  await stream.request(Method.ChannelBind, channelAttributes(CHANNEL, peer.address));
  for (const length of LENGTHS) {
    const text = "\u007f".repeat(length);
    peer.send(relayed, POISON);
    await wire.arrival();
    peer.send(relayed, text);
    expect((await wire.arrival())[0]).toEqual(Buffer.from(encodeChannelData(CHANNEL, Buffer.from(text))));
    peer.send(overStream, POISON);
    await stream.read(4 + POISON.length);
    peer.send(overStream, text);
    const frame = await stream.read(4 + ((length + 3) & ~3));
    expect([...frame.subarray(4 + length)].filter((byte) => byte !== 0)).toEqual([]);
  }
});

test("a ChannelData length beyond the datagram reaches no peer with what lies behind it", async () => {
  const relay = await startRelay();
  const peer = await startPeer();
  const client = await relay.connect("udp");
  const data = inbox(client);
  await client.allocate();
  const channel = await client.channelBind(peer.address);
  const dropped = () => relay.metric("culvert_relay_data_plane_dropped_total", { reason: "malformed" });
  const before = await dropped();
  for (const claim of [3, 100, 0xffff])
    client.sendRaw(Buffer.from([channel >> 8, channel & 255, claim >> 8, claim & 255, 1, 2]));
  client.send(peer.address, Buffer.from("whole"));
  expect((await data.next()).text).toBe("echo:whole");
  expect(peer.received).toEqual(["whole"]);
  expect(await dropped()).toBe(before + 3);
});

test("DATA that claims more than its message is no Send indication", async () => {
  const relay = await startRelay();
  const peer = await startPeer({ echo: false });
  const wire = await Wire.open(relay);
  await wire.request(Method.Allocate, [UDP_TRANSPORT]);
  await wire.request(Method.CreatePermission, [peerAttribute(peer.address)]);
  const send = wire.session.indication(Method.Send, [
    peerAttribute(peer.address),
    attribute(Attr.Data, Buffer.from("abcd")),
  ]);
  const lying = Buffer.from(send);
  lying.writeUInt16BE(400, lying.length - 6);
  wire.send(lying);
  wire.send(send);
  await expect.poll(() => peer.received.length).toBeGreaterThan(0);
  expect(peer.received).toEqual(["abcd"]);
});
