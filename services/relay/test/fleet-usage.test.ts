import { createSocket } from "node:dgram";
import { once } from "node:events";
import { MemoryUsageStore, type UsageEvent } from "@culvert/events";
import { expect, test } from "vitest";
import { startFleet, startFleetRelay } from "./fleet-harness.ts";
import { bytes, inbox, later, startPeer } from "./harness.ts";

const IP = "127.81.6.1";

test("usage goes on over a restart: start, interims and stop, with counters that only grow", async () => {
  const fleet = startFleet();
  const store = new MemoryUsageStore();
  const log = store.open();
  const events: UsageEvent[] = [];
  await log.follow({ name: "test" }, (event) => void events.push(event));
  const options = { identity: "relay-0", ip: IP, fleet: { usage: { interval: 1 } }, usage: () => store.open() };
  const first = await startFleetRelay(fleet, options);
  const peer = await startPeer();
  const client = await first.connect("udp");
  const data = inbox(client);
  await client.allocate();
  await client.channelBind(peer.address);
  client.send(peer.address, bytes("12345"));
  await data.next();
  await expect.poll(() => events.map(({ kind }) => kind).slice(0, 2)).toEqual(["start", "interim"]);
  await first.service.stop();

  const second = await startFleetRelay(fleet, options);
  await expect.poll(() => second.service.allocations()).toBe(1);
  client.send(peer.address, bytes("123"));
  await data.next();
  await client.close();
  await expect.poll(() => events.at(-1)?.kind).toBe("stop");
  const last = events.at(-1);
  expect(last).toMatchObject({
    kind: "stop",
    reason: "refresh",
    relay: "relay-0",
    user: "alice",
    packetsToPeers: 2,
    bytesToPeers: 8,
    packetsToClient: 2,
    bytesToClient: 18,
  });
  expect(new Set(events.map(({ allocation }) => allocation)).size).toBe(1);
  const sequences = events.map(({ sequence }) => sequence);
  expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => a - b));
});

test("of an allocation that nobody carries on another relay tells the stop, once its lifetime is over", async () => {
  const fleet = startFleet();
  const store = new MemoryUsageStore();
  const events: UsageEvent[] = [];
  await store.open().follow({ name: "test" }, (event) => void events.push(event));
  const options = { fleet: { usage: { interval: 1 } }, relay: { lifetime: { default: 5 } }, usage: () => store.open() };
  const dying = await startFleetRelay(fleet, { ...options, identity: "relay-a", ip: IP });
  for (const [index, identity] of ["relay-b", "relay-c"].entries()) {
    await startFleetRelay(fleet, { ...options, identity, ip: `127.81.6.${2 + index}` });
  }
  const peer = await startPeer();
  const client = await dying.connect("udp");
  const data = inbox(client);
  await client.allocate();
  await client.channelBind(peer.address);
  client.send(peer.address, bytes("12345"));
  await data.next();
  await expect.poll(() => events.at(-1)?.bytesToPeers).toBe(5);
  await expect
    .poll(async () => (await dying.store.list({}, { limit: 1 })).records[0]?.record.counters.bytesToPeers)
    .toBe(5);
  fleet.setConnected(dying.store, false);
  await dying.service.stop();

  const stops = (): UsageEvent[] => events.filter(({ kind }) => kind === "stop");
  await expect.poll(() => stops().length).toBe(1);
  expect(stops()[0]).toMatchObject({ reason: "lost", user: "alice", packetsToPeers: 1, bytesToPeers: 5 });
  expect(stops()[0]?.relay).toBe("relay-b");
  const [start] = events;
  const lived = (stops()[0]?.at ?? 0) - (start?.startedAt ?? 0);
  expect(lived).toBeGreaterThanOrEqual(4_990);
  expect(new Set(events.map(({ allocation }) => allocation)).size).toBe(1);
});

test("of an allocation that its relay cannot restore it tells the stop itself", async () => {
  const fleet = startFleet();
  const store = new MemoryUsageStore();
  const events: UsageEvent[] = [];
  await store.open().follow({ name: "test" }, (event) => void events.push(event));
  const options = {
    identity: "relay-0",
    ip: IP,
    fleet: { usage: { interval: 1 } },
    relay: { lifetime: { default: 5 } },
    usage: () => store.open(),
  };
  const first = await startFleetRelay(fleet, options);
  const { relayed } = await (await first.connect("udp")).allocate();
  await first.service.stop();

  const squatter = createSocket("udp4");
  later(() => squatter.close());
  squatter.bind(relayed.port, relayed.ip);
  await once(squatter, "listening");
  const second = await startFleetRelay(fleet, options);
  await expect.poll(() => events.at(-1)).toMatchObject({ kind: "stop", reason: "lost" });
  expect(second.service.allocations()).toBe(0);
});
