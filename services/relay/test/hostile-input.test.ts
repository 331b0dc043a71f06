import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";
import { Attr, attribute, encodeMessage, MessageClass, Method } from "@culvert/stun";
import { expect, test } from "vitest";
import { later, startRelay, type TestRelay } from "./harness.ts";

const binding = encodeMessage({
  method: Method.Binding,
  class: MessageClass.Request,
  transactionId: new Uint8Array(12).fill(7),
  attributes: [attribute(Attr.Software, "a client of no consequence")],
});

function portOf(relay: TestRelay, transport: "udp" | "tcp"): number {
  return relay.info.listeners.find((listener) => listener.transport === transport)?.port ?? 0;
}

async function drops(relay: TestRelay): Promise<number> {
  return (
    (await relay.metric("culvert_relay_data_plane_dropped_total")) + (await relay.metric("culvert_relay_dropped_total"))
  );
}

test("truncated packets are dropped and counted, and the next whole one is answered", async () => {
  const relay = await startRelay();
  const socket = dgram.createSocket("udp4");
  later(() => socket.close());
  const answers: Buffer[] = [];
  socket.on("message", (message) => void answers.push(message));
  const before = await drops(relay);
  const cuts = [1, 4, 19, 20, 21, binding.length - 1];
  for (const length of cuts) socket.send(binding.subarray(0, length), portOf(relay, "udp"), "127.0.0.1");
  await expect.poll(() => drops(relay)).toBe(before + cuts.length);
  expect(answers).toEqual([]);
  socket.send(binding, portOf(relay, "udp"), "127.0.0.1");
  await once(socket, "message");
  expect(answers[0]?.readUInt16BE(0)).toBe(0x0101);
});

test("a claim of 64 KiB of ChannelData on TCP takes no memory and no other client's service", async () => {
  const relay = await startRelay({ dataPlane: { streamFirstMessageMs: 2_000, streamFrameMs: 2_000 } });
  const socket = net.connect(portOf(relay, "tcp"), "127.0.0.1");
  later(() => socket.destroy());
  await once(socket, "connect");
  const before = await drops(relay);
  socket.write(Buffer.from([0x40, 0x00, 0xff, 0xff, 1, 2, 3, 4]));
  await once(socket, "close");
  expect(await drops(relay)).toBeGreaterThan(before);

  const client = await relay.connect("tcp");
  expect((await client.allocate()).lifetime).toBe(600);
});

test("what is no STUN on TCP closes the stream", async () => {
  const relay = await startRelay();
  const socket = net.connect(portOf(relay, "tcp"), "127.0.0.1");
  later(() => socket.destroy());
  // The head of a TLS ClientHello.
  socket.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc]));
  await once(socket, "close");
  expect(await relay.metric("culvert_relay_data_plane_dropped_total", { reason: "stream-framing" })).toBe(1);
});
