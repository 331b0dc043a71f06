import type { FleetStore } from "@culvert/state";
import { createMetrics } from "@culvert/telemetry";
import { expect, test, vi } from "vitest";
import { passed, served, startFleet, startFleetRelay } from "./fleet-harness.ts";
import { bytes, inbox, startPeer, sumOf } from "./harness.ts";

const IP = "127.81.1.1";

test("a relay that starts again has its ports, its allocations and their data back", async () => {
  const fleet = startFleet();
  const first = await startFleetRelay(fleet, { identity: "relay-0", ip: IP });
  const peer = await startPeer();
  const client = await first.connect("udp");
  const data = inbox(client);
  const { relayed } = await client.allocate();
  await client.channelBind(peer.address);
  client.send(peer.address, bytes("one"));
  expect((await data.next()).text).toBe("echo:one");

  await first.service.stop();
  const second = await startFleetRelay(fleet, { identity: "relay-0", ip: IP });
  await served(second);
  // It serves as soon as it knows which ports are taken; they are bound a moment later.
  await expect.poll(() => second.service.allocations()).toBe(1);
  client.send(peer.address, bytes("two"));
  expect(await data.next()).toEqual({ text: "echo:two", via: "channel" });
  peer.send(relayed, "three");
  expect((await data.next()).text).toBe("three");
  expect(await client.refresh()).toBe(600);
  expect(await second.metric("culvert_relay_restored_total")).toBe(1);
  expect(await second.metric("culvert_relay_slots_held")).toBe(2);
});

test("a relay that ends grants nothing that its successor would not know of", async () => {
  const fleet = startFleet();
  const metrics = createMetrics({ service: "relay", process: false });
  const first = await startFleetRelay(fleet, { identity: "relay-0", ip: IP, metrics });
  const client = await first.connect("udp");
  await client.allocate();
  const dropped = async () =>
    sumOf(await metrics.collect(), "culvert_relay_mesh_dropped_total", { reason: "stopping" });
  // The last that it does with the store: all that lives was written before.
  const close = first.store.close.bind(first.store);
  let refreshed: Promise<number> | undefined;
  vi.spyOn(first.store, "close").mockImplementationOnce(async () => {
    refreshed = client.refresh();
    await expect.poll(dropped).toBe(1);
    return close();
  });
  await first.service.stop();
  const second = await startFleetRelay(fleet, { identity: "relay-0", ip: IP });
  await served(second);
  expect(await refreshed).toBe(600);
  expect(await second.metric("culvert_relay_requests_total", { method: "Refresh" })).toBe(1);
});

test.each([
  ["without a word: as long as if its client had been granted more right before", false],
  ["in order: as long as its client knows", true],
])("what lives on of a relay that ended %s", async (_, inOrder) => {
  const fleet = startFleet();
  const first = await startFleetRelay(fleet, { identity: "relay-0", ip: IP });
  const client = await first.connect("udp");
  await client.allocate();
  const written = async (store: FleetStore) => (await store.list({}, { limit: 1 })).records[0]?.record.relays[0];
  const before = await written(first.store);
  await passed(fleet, 100);
  if (!inOrder) fleet.setConnected(first.store, false);
  await first.service.stop();

  const second = await startFleetRelay(fleet, { identity: "relay-0", ip: IP });
  await expect.poll(() => second.metric("culvert_relay_restored_total")).toBe(1);
  const longer = async () => ((await written(second.store))?.expiresAt ?? 0) - (before?.expiresAt ?? 0);
  if (inOrder) await expect.poll(longer).toBeLessThan(50);
  else await expect.poll(longer).toBeGreaterThan(90);
  expect(await written(second.store)).toMatchObject({
    lifetimeMs: 600_000,
    ...(inOrder ? {} : { grantedUntil: expect.closeTo(before?.expiresAt ?? 0, -2) }),
  });
  expect(await client.refresh()).toBe(600);
});
