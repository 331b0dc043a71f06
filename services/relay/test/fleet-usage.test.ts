import { MemoryUsageStore, type UsageEvent } from "@culvert/events";
import { expect, test } from "vitest";
import { startFleet, startFleetRelay } from "./fleet-harness.ts";
import { bytes, inbox, startPeer } from "./harness.ts";

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
  await expect.poll(() => events.map(({ kind }) => kind), { timeout: 3_000 }).toEqual(["start", "interim"]);
  await first.service.stop();

  const second = await startFleetRelay(fleet, options);
  await expect.poll(() => second.service.allocations()).toBe(1);
  client.send(peer.address, bytes("123"));
  await data.next();
  await client.close();
  await expect.poll(() => events.at(-1)?.kind, { timeout: 3_000 }).toBe("stop");
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
