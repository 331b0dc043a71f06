import dgram from "node:dgram";
import { once } from "node:events";
import { Attr, attribute, encodeChannelData, Method, type TransportAddress } from "@culvert/stun";
import { expect, test } from "vitest";
import { bytes, later, startRelay, type TestRelay } from "./harness.ts";
import { channelAttributes, peerAttribute, sendAttributes, UDP_TRANSPORT } from "./requests.ts";
import { relayedOf, Wire } from "./wire.ts";

/** Every way to say loopback, or this host, or what only looks like it. */
const LOOPBACKS: readonly string[] = [
  "127.0.0.1",
  "127.0.0.2",
  "127.255.255.254",
  "0.0.0.0",
  "0.0.0.1",
  "::",
  "::ffff:127.0.0.1",
  "::ffff:0.0.0.0",
  "::127.0.0.1",
  "::ffff:0:127.0.0.1",
  "2002:7f00:1::",
  "64:ff9b::127.0.0.1",
  "64:ff9b:1::127.0.0.1",
  // Teredo: as server, and in complement as client.
  "2001:0:7f00:1::f6f6:f6f6",
  "2001:0:909:909::80ff:fffe",
];

/** Above what the kernel picks for port 0, so that a canary's port is none of them. */
const PORTS = { min: 61_200, max: 61_399 };
const RELAY = { addresses: ["127.0.0.9", "::1"], ports: PORTS };
const BOTH_FAMILIES = [UDP_TRANSPORT, attribute(Attr.AdditionalAddressFamily, 6)];
const CHANNEL = 0x4000;

interface Canary {
  readonly port: number;
  /** Whatever reached it. */
  readonly heard: readonly string[];
  /** Resolves once all that was sent to it before has arrived. */
  quiet(): Promise<void>;
}

/** One port on each address of this host that loopback packets end at. */
async function startCanary(): Promise<Canary> {
  const heard: string[] = [];
  const sockets: dgram.Socket[] = [];
  const open = async (ip: string, port: number): Promise<number> => {
    const socket = dgram.createSocket(ip.includes(":") ? "udp6" : "udp4");
    socket.on("message", (message) => void heard.push(`${ip} ${message}`));
    later(() => new Promise<void>((resolve) => socket.close(() => resolve())));
    socket.bind(port, ip);
    await once(socket, "listening");
    sockets.push(socket);
    return socket.address().port;
  };
  const port = await open("127.0.0.1", 0);
  for (const ip of ["127.0.0.2", "127.0.0.9", "127.255.255.254", "::1"]) await open(ip, port);
  return {
    port,
    heard,
    quiet: async () => {
      for (const socket of sockets) {
        socket.send("fence", port, socket.address().address);
        await once(socket, "message");
      }
      for (let index = heard.length - 1; index >= 0; index--) {
        if (heard[index]?.endsWith(" fence")) heard.splice(index, 1);
      }
    },
  };
}

/** Everything a client can try to get a packet to a peer. Returns the answers to the two requests. */
async function tryAll(wire: Wire, peer: TransportAddress): Promise<string> {
  const permission = await wire.request(Method.CreatePermission, [peerAttribute(peer)]);
  const channel = await wire.request(Method.ChannelBind, channelAttributes(CHANNEL, peer));
  wire.indicate(Method.Send, sendAttributes(peer, bytes(`Send to ${peer.ip}`)));
  wire.indicate(Method.Send, [...sendAttributes(peer, bytes(`DF to ${peer.ip}`)), attribute(Attr.DontFragment, true)]);
  wire.send(encodeChannelData(CHANNEL, bytes(`ChannelData to ${peer.ip}`)));
  await wire.settled();
  return `${permission.outcome} ${channel.outcome}`;
}

const denials = (relay: TestRelay, method: string): Promise<number> =>
  relay.metric("culvert_relay_peers_denied_total", { method });

test("every form of loopback is answered with 403, and the canaries hear nothing", async () => {
  const relay = await startRelay({ ...RELAY, peers: { dangerouslyAllow: [] } });
  const canary = await startCanary();
  const wire = await Wire.open(relay);
  expect((await wire.request(Method.Allocate, BOTH_FAMILIES)).outcome).toBe("success");
  for (const ip of LOOPBACKS) expect(`${ip} ${await tryAll(wire, { ip, port: canary.port })}`).toBe(`${ip} 403 403`);
  await canary.quiet();
  expect(canary.heard).toEqual([]);
  expect(await denials(relay, "CreatePermission")).toBe(LOOPBACKS.length);
  expect(await denials(relay, "ChannelBind")).toBe(LOOPBACKS.length);
});

test("without an IPv6 address its IPv6 forms are answered with 443, and the canaries hear nothing", async () => {
  const relay = await startRelay({ ...RELAY, peers: { dangerouslyAllow: [] } });
  const canary = await startCanary();
  const wire = await Wire.open(relay);
  expect((await wire.request(Method.Allocate, [UDP_TRANSPORT])).outcome).toBe("success");
  for (const ip of LOOPBACKS) {
    const expected = ip.includes(":") ? "443 443" : "403 403";
    expect(`${ip} ${await tryAll(wire, { ip, port: canary.port })}`).toBe(`${ip} ${expected}`);
  }
  await canary.quiet();
  expect(canary.heard).toEqual([]);
});

test("the own relayed address is no way to what else listens there", async () => {
  const relay = await startRelay({ ...RELAY, peers: { dangerouslyAllow: [] } });
  const canary = await startCanary();
  const wire = await Wire.open(relay);
  await wire.request(Method.Allocate, BOTH_FAMILIES);
  for (const ip of RELAY.addresses) {
    // The permission is by address; what it opens are relayed ports.
    expect(await tryAll(wire, { ip, port: canary.port })).toBe("success 403");
  }
  await canary.quiet();
  expect(canary.heard).toEqual([]);
});

test("the canary can hear: where loopback is opened, all three ways reach it", async () => {
  const relay = await startRelay({ ...RELAY, peers: { dangerouslyAllow: ["127.0.0.0/8", "::1"] } });
  const canary = await startCanary();
  const wire = await Wire.open(relay);
  const answer = await wire.request(Method.Allocate, BOTH_FAMILIES);
  expect(relayedOf(answer).port).toBeGreaterThanOrEqual(PORTS.min);
  expect(await tryAll(wire, { ip: "127.0.0.2", port: canary.port })).toBe("success success");
  await canary.quiet();
  expect(canary.heard).toEqual([
    "127.0.0.2 Send to 127.0.0.2",
    "127.0.0.2 DF to 127.0.0.2",
    "127.0.0.2 ChannelData to 127.0.0.2",
  ]);
});

test("a permission of one form does not let another form of the same address through", async () => {
  const relay = await startRelay({ ...RELAY, peers: { dangerouslyAllow: ["127.0.0.2"] } });
  const canary = await startCanary();
  const wire = await Wire.open(relay);
  await wire.request(Method.Allocate, BOTH_FAMILIES);
  const permission = await wire.request(Method.CreatePermission, [peerAttribute({ ip: "127.0.0.2", port: 0 })]);
  expect(permission.outcome).toBe("success");
  for (const ip of ["::ffff:127.0.0.2", "::127.0.0.2", "2002:7f00:2::"]) {
    expect(await tryAll(wire, { ip, port: canary.port })).toBe("403 403");
  }
  await canary.quiet();
  expect(canary.heard).toEqual([]);
});
