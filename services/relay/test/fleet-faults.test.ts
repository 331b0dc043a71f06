import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { launchRelay, served, settled, startFleet, startFleetRelay, TTL } from "./fleet-harness.ts";
import { bytes, inbox, startPeer } from "./harness.ts";

const [A, B] = ["127.81.4.1", "127.81.4.2"];

test("a relay cut off from the store, while another reaches it, stops relaying by itself and goes on when it is back", async () => {
  const fleet = startFleet();
  const a = await startFleetRelay(fleet, { identity: "relay-a", ip: A });
  await startFleetRelay(fleet, { identity: "relay-b", ip: B });
  const peer = await startPeer();
  const client = await a.connect("udp");
  const data = inbox(client);
  await client.allocate();
  await client.channelBind(peer.address);
  await settled(fleet);
  fleet.setConnected(a.store, false);
  await expect.poll(() => a.metric("culvert_relay_slots_held")).toBe(0);
  const heard = peer.received.length;
  client.send(peer.address, bytes("fenced"));
  await expect.poll(() => a.metric("culvert_relay_data_plane_dropped_total", { reason: "fenced" })).toBeGreaterThan(0);
  expect(peer.received).toHaveLength(heard);
  expect(a.service.ready().ready).toBe(true);

  fleet.setConnected(a.store, true);
  await expect.poll(() => a.metric("culvert_relay_slots_held")).toBe(2);
  client.send(peer.address, bytes("again"));
  expect((await data.next()).text).toBe("echo:again");
});

test("while the store is down for all, live traffic goes on, allocations are granted, and all is written afterwards", async () => {
  const fleet = startFleet();
  const relays = await Promise.all([
    startFleetRelay(fleet, { identity: "relay-a", ip: A }),
    startFleetRelay(fleet, { identity: "relay-b", ip: B }),
  ]);
  const [a] = relays;
  const peer = await startPeer();
  const client = await a.connect("udp");
  const data = inbox(client);
  await client.allocate();
  await client.channelBind(peer.address);
  await settled(fleet);
  for (const { store } of relays) fleet.setConnected(store, false);
  const other = await a.connect("udp");
  await other.allocate();
  const over = fleet.clock() + 3 * TTL;
  for (let sent = 0; fleet.clock() < over; sent++) {
    client.send(peer.address, bytes(`${sent}`));
    expect((await data.next()).text).toBe(`echo:${sent}`);
    await sleep(100);
  }
  expect(await a.metric("culvert_relay_slots_total", { event: "lapsed" })).toBe(0);
  for (const { store } of relays) fleet.setConnected(store, true);
  await expect.poll(async () => (await a.store.list({ identity: "relay-a" }, { limit: 10 })).records.length).toBe(2);
});

test("where the policy says so, nothing is granted while the store is down", async () => {
  const fleet = startFleet();
  const a = await startFleetRelay(fleet, { identity: "relay-a", ip: A, fleet: { onStateLoss: "refuse" } });
  fleet.setConnected(a.store, false);
  const client = await a.connect("udp");
  await expect(client.allocate()).rejects.toMatchObject({ code: 500 });
});

test("after the store was emptied the relay publishes all that lives", async () => {
  const fleet = startFleet();
  const a = await startFleetRelay(fleet, { identity: "relay-a", ip: A });
  const clients = await Promise.all(Array.from({ length: 5 }, () => a.connect("udp")));
  for (const client of clients) await client.allocate();
  fleet.flush();
  const records = async (): Promise<number> => (await a.store.list({}, { limit: 100 })).records.length;
  await expect.poll(records).toBe(5);
  expect(a.service.allocations()).toBe(5);
});

test("without the store the relay starts, says what it waits for, and stops when told", async () => {
  const fleet = startFleet();
  const probe = await launchRelay(fleet, { identity: "relay-a", ip: A });
  await served(probe);
  await probe.service.stop();
  const down = await launchRelay({ ...fleet, connect: () => cutOff(fleet) }, { identity: "relay-a", ip: A });
  expect(down.service.ready()).toMatchObject({ ready: false, checks: { fleet: "waits for Redis" } });
  fleet.setConnected(down.store, true);
  await served(down);
  await down.service.stop();
});

function cutOff(fleet: ReturnType<typeof startFleet>) {
  const store = fleet.connect();
  fleet.setConnected(store, false);
  return store;
}
