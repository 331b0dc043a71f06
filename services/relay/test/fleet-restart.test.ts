import { expect, test } from "vitest";
import { served, startFleet, startFleetRelay } from "./fleet-harness.ts";
import { bytes, inbox, startPeer } from "./harness.ts";

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
  expect(second.service.allocations()).toBe(1);
  client.send(peer.address, bytes("two"));
  expect(await data.next()).toEqual({ text: "echo:two", via: "channel" });
  peer.send(relayed, "three");
  expect((await data.next()).text).toBe("three");
  expect(await client.refresh()).toBe(600);
  expect(await second.metric("culvert_relay_restored_total")).toBe(1);
  expect(await second.metric("culvert_relay_slots_held")).toBe(2);
});
