import dgram from "node:dgram";
import { once } from "node:events";
import type { TransportAddress } from "@culvert/stun";
import { expect, test } from "vitest";
import { startFleet, startFleetRelay } from "./fleet-harness.ts";
import { bytes, inbox, later, startPeer } from "./harness.ts";

const [A, B] = ["127.81.2.1", "127.81.2.2"];
const BEHIND = (ip: string) => ({
  relay: { listeners: [{ transport: "udp", ip, port: 3478, frontend: "balancer" }] },
});

/** A load balancer for UDP that keeps each client's source port, and can change its mind. */
async function balancer(first: TransportAddress) {
  let target = first;
  const front = dgram.createSocket("udp4");
  const backs = new Map<number, dgram.Socket>();
  front.on("message", async (message, from) => {
    let back = backs.get(from.port);
    if (back === undefined) {
      back = dgram.createSocket("udp4");
      backs.set(from.port, back);
      back.on("message", (answer) => front.send(answer, from.port, from.address));
      back.bind(0, "127.81.2.9");
      await once(back, "listening");
    }
    back.send(message, target.port, target.ip);
  });
  front.bind(0, "127.81.2.9");
  await once(front, "listening");
  later(() => {
    front.close();
    for (const back of backs.values()) back.close();
  });
  return {
    uri: `turn:127.81.2.9:${front.address().port}?transport=udp`,
    turnTo: (next: TransportAddress) => {
      target = next;
    },
  };
}

test("packets that come to another relay are relayed by the owner and answered through the one that the client sees", async () => {
  const fleet = startFleet();
  const a = await startFleetRelay(fleet, { identity: "relay-a", ip: A, ...BEHIND(A) });
  const b = await startFleetRelay(fleet, { identity: "relay-b", ip: B, ...BEHIND(B) });
  for (const relay of [a, b]) await expect.poll(() => relay.metric("culvert_relay_mesh_peers")).toBe(1);
  const lb = await balancer({ ip: A, port: 3478 });
  const peer = await startPeer();
  const client = await a.connect("udp", { uri: lb.uri });
  const data = inbox(client);
  const { relayed } = await client.allocate();
  await client.channelBind(peer.address);
  client.send(peer.address, bytes("direct"));
  expect((await data.next()).text).toBe("echo:direct");

  lb.turnTo({ ip: B, port: 3478 });
  client.send(peer.address, bytes("by the mesh"));
  expect(await data.next()).toEqual({ text: "echo:by the mesh", via: "channel" });
  expect(await client.refresh()).toBe(600);
  await client.createPermission([peer.address.ip]);
  peer.send(relayed, "from the peer");
  expect((await data.next()).text).toBe("from the peer");
  expect(a.service.allocations()).toBe(1);
  expect(b.service.allocations()).toBe(0);
  expect(await b.metric("culvert_relay_mesh_lookups_total", { outcome: "ok" })).toBe(1);
  expect(await b.metric("culvert_relay_mesh_forwarded_total")).toBeGreaterThan(0);

  lb.turnTo({ ip: A, port: 3478 });
  client.send(peer.address, bytes("back"));
  expect((await data.next()).text).toBe("echo:back");
});

test("a second Allocate of a client at another relay finds the allocation that it has", async () => {
  const fleet = startFleet();
  const a = await startFleetRelay(fleet, { identity: "relay-a", ip: A, ...BEHIND(A) });
  await startFleetRelay(fleet, { identity: "relay-b", ip: B, ...BEHIND(B) });
  await expect.poll(() => a.metric("culvert_relay_mesh_peers")).toBe(1);
  const lb = await balancer({ ip: A, port: 3478 });
  const client = await a.connect("udp", { uri: lb.uri });
  await client.allocate();
  lb.turnTo({ ip: B, port: 3478 });
  // RFC 8656 section 7.2: the 5-tuple is in use.
  await expect(client.allocate()).rejects.toMatchObject({ code: 437 });
});

test("a source that sends data from ever new ports causes no more look-ups than it may", async () => {
  const fleet = startFleet();
  const a = await startFleetRelay(fleet, {
    identity: "relay-a",
    ip: A,
    fleet: { lookups: { perSecond: 1, burst: 20 } },
  });
  const sockets = await Promise.all(
    Array.from({ length: 100 }, async () => {
      const socket = dgram.createSocket("udp4");
      later(() => socket.close());
      socket.bind(0, "127.81.2.9");
      await once(socket, "listening");
      return socket;
    }),
  );
  const channelData = Buffer.from([0x40, 0x00, 0x00, 0x04, 1, 2, 3, 4]);
  for (const socket of sockets) socket.send(channelData, 3478, A);
  await expect.poll(() => a.metric("culvert_relay_mesh_dropped_total", { reason: "limited" })).toBeGreaterThan(70);
  const lookups = await a.metric("culvert_relay_mesh_lookups_total");
  expect(lookups).toBeGreaterThanOrEqual(20);
  expect(lookups).toBeLessThan(30);
  // Whoever has no allocation at all is told so: the look-up found none.
  const client = await a.connect("udp");
  await client.allocate();
});
