import {
  Attr,
  attribute,
  encodeChannelData,
  encodeMessage,
  MessageClass,
  Method,
  readSendIndication,
} from "@culvert/stun";
import type { TurnClient } from "@culvert/turn-client";
import { expect, test } from "vitest";
import { allocated, connect, type Received, ScriptedServer, signature } from "./support.ts";

const peer = { ip: "192.0.2.7", port: 9000 };
const hello = Buffer.from("hello");

async function bind(server: ScriptedServer, client: TurnClient, channel?: number): Promise<Received> {
  const bound = client.channelBind(peer, channel);
  const request = await server.next();
  request.reply({ integrity: signature() });
  await bound;
  return request;
}

const indication = (attributes: Parameters<typeof encodeMessage>[0]["attributes"]): Uint8Array =>
  encodeMessage({ method: Method.Data, class: MessageClass.Indication, transactionId: new Uint8Array(12), attributes });

const nextData = (client: TurnClient): Promise<unknown> =>
  new Promise((resolve) => {
    const stop = client.onData((from, data, via) => {
      stop();
      resolve({ from, text: Buffer.from(data).toString(), via });
    });
  });

test("without a channel data goes in a Send indication", async () => {
  const server = await ScriptedServer.udp();
  const client = await connect(server);
  await allocated(server, client);
  client.send(peer, hello);
  expect(readSendIndication((await server.next()).bytes)).toEqual({ peer, data: hello, dontFragment: false });
});

test("a Data indication arrives with its peer", async () => {
  const server = await ScriptedServer.udp();
  const client = await connect(server);
  await allocated(server, client);
  client.send(peer, hello);
  const arrival = nextData(client);
  (await server.next()).send(indication([attribute(Attr.XorPeerAddress, peer), attribute(Attr.Data, hello)]));
  expect(await arrival).toEqual({ from: peer, text: "hello", via: "data" });
});

test("with a channel data goes and comes in ChannelData; via: data still sends an indication", async () => {
  const server = await ScriptedServer.udp();
  const client = await connect(server);
  await allocated(server, client);
  const { message } = await bind(server, client);
  expect(message.get(Attr.ChannelNumber)).toBe(0x4000);
  expect(message.get(Attr.XorPeerAddress)).toEqual(peer);

  client.send(peer, hello);
  const received = await server.next();
  expect(Buffer.from(received.bytes)).toEqual(Buffer.from(encodeChannelData(0x4000, hello)));
  const arrival = nextData(client);
  received.send(encodeChannelData(0x4000, hello));
  expect(await arrival).toEqual({ from: peer, text: "hello", via: "channel" });

  client.send(peer, hello, { via: "data", dontFragment: true });
  expect(readSendIndication((await server.next()).bytes)).toMatchObject({ peer, dontFragment: true });
});

test("channel numbers are counted up, one a peer, and can be chosen", async () => {
  const server = await ScriptedServer.udp();
  const client = await connect(server);
  await allocated(server, client);
  await bind(server, client, 0x4001);
  expect((await bind(server, client)).message.get(Attr.ChannelNumber)).toBe(0x4001);
  const other = client.channelBind({ ip: "192.0.2.8", port: 1 });
  (await server.next()).reply({ integrity: signature() });
  const third = client.channelBind({ ip: "192.0.2.9", port: 1 });
  (await server.next()).reply({ integrity: signature() });
  expect([await other, await third]).toEqual([0x4000, 0x4002]);
});

test("over TCP ChannelData is padded, and frames are cut out of the stream", async () => {
  const server = await ScriptedServer.tcp();
  const client = await connect(server);
  await allocated(server, client);
  const request = await bind(server, client);
  client.send(peer, hello);
  client.send(peer, hello);
  await server.next();
  expect(Buffer.from((await server.next()).bytes)).toEqual(Buffer.from(encodeChannelData(0x4000, hello)));
  const bytes = encodeChannelData(0x4000, hello, { padded: true });
  const arrivals: string[] = [];
  const done = new Promise<void>((resolve) => {
    client.onData((_from, data) => {
      arrivals.push(Buffer.from(data).toString());
      if (arrivals.length === 2) resolve();
    });
  });
  request.send(Buffer.concat([bytes, bytes.subarray(0, 6)]));
  request.send(bytes.subarray(6));
  await done;
  expect(arrivals).toEqual(["hello", "hello"]);
});

test("an ICMP attribute arrives as such", async () => {
  const server = await ScriptedServer.udp();
  const client = await connect(server);
  await allocated(server, client);
  client.send(peer, hello);
  const arrival = new Promise((resolve) => client.onIcmp((from, icmp) => resolve({ from, icmp })));
  const icmp = { type: 3, code: 3, data: 0 };
  (await server.next()).send(indication([attribute(Attr.XorPeerAddress, peer), attribute(Attr.Icmp, icmp)]));
  expect(await arrival).toEqual({ from: peer, icmp });
});

test("garbage, unknown channels and truncated messages are ignored; onFrame sees them", async () => {
  const server = await ScriptedServer.udp();
  const client = await connect(server);
  await allocated(server, client);
  const frames: string[] = [];
  client.onFrame((frame) => frames.push(Buffer.from(frame).toString("hex")));
  client.send(peer, hello);
  const { send } = await server.next();
  const arrival = nextData(client);
  for (const hex of ["ff", "0101", "40ff00010a", "4000ffff00", "011700ff2112a442"]) send(Buffer.from(hex, "hex"));
  send(indication([attribute(Attr.XorPeerAddress, peer)]));
  send(indication([attribute(Attr.XorPeerAddress, peer), attribute(Attr.Data, hello)]));
  expect(await arrival).toMatchObject({ text: "hello" });
  expect(frames).toHaveLength(7);
});

test("sendRaw sends bytes as they are", async () => {
  const server = await ScriptedServer.udp();
  const client = await connect(server);
  client.sendRaw(Buffer.from("0badc0de", "hex"));
  expect(Buffer.from((await server.next()).bytes).toString("hex")).toBe("0badc0de");
});
