import { expect, it } from "vitest";
import { type FleetRelay, PORTS, startFleet, startFleetRelay, type TestFleet } from "./fleet-harness.ts";
import { bytes, inbox, startPeer } from "./harness.ts";
import { KubeApiServer } from "./kube-api.ts";

const NODE = "/api/v1/nodes/worker-1";
const IP = "127.0.0.11";
const annotated = (text: string) => ({ metadata: { annotations: { "culvert.io/external-address": text } } });

async function startAt(external: string, fleet: TestFleet = startFleet()) {
  const api = await KubeApiServer.start();
  api.put(NODE, annotated(external));
  const externalAddress = { node: { name: "worker-1" }, kubernetes: api.section };
  const relay = await startFleetRelay(fleet, { identity: "relay-0", ip: IP, relay: { externalAddress } });
  const slots = async () => {
    const held = (await relay.store.slots()).filter(({ expiresInMs }) => expiresInMs > 0);
    return [...new Set(held.map(({ slot }) => slot.split("/")[0]))].sort();
  };
  return { api, relay, slots, fleet };
}

/** XOR-RELAYED-ADDRESS of one more allocation. */
async function relayedIp(relay: FleetRelay): Promise<string> {
  const client = await relay.connect("udp");
  const { relayed } = await client.allocate();
  await client.close();
  return relayed.ip;
}

it("slots are of the new address from then on, no Allocate is refused meanwhile, and those of the old one end with its last call", async () => {
  const { api, relay, slots, fleet } = await startAt("9.9.9.1");
  const peer = await startPeer({ ip: "127.0.0.2" });
  const call = await relay.connect("udp");
  const data = inbox(call);
  const before = await call.allocate();
  expect(before.relayed.ip).toBe("9.9.9.1");
  await call.channelBind(peer.address);
  expect(await slots()).toEqual(["9.9.9.1"]);

  // Slots of the new address are not to be had yet.
  fleet.setConnected(relay.store, false);
  api.put(NODE, annotated("9.9.9.2"));
  await expect.poll(() => relay.logs.some(({ msg }) => String(msg).startsWith("external address changed"))).toBe(true);
  expect(await relayedIp(relay)).toBe("9.9.9.1");
  fleet.setConnected(relay.store, true);
  await expect.poll(() => relayedIp(relay)).toBe("9.9.9.2");

  expect(await slots()).toEqual(["9.9.9.1", "9.9.9.2"]);
  call.send(peer.address, bytes("still"));
  expect((await data.next()).text).toBe("echo:still");
  expect(await call.refresh()).toBe(600);
  expect(relay.service.ready().ready).toBe(true);

  await call.close();
  await expect.poll(slots).toEqual(["9.9.9.2"]);
});

it("no port is relayed for two clients, though both addresses have all ports", async () => {
  const { api, relay, slots } = await startAt("9.9.9.1");
  const ports: number[] = [];
  const fill = async (count: number): Promise<void> => {
    const clients = await Promise.all(Array.from({ length: count }, () => relay.connect("udp")));
    for (const client of clients) ports.push((await client.allocate()).relayed.port);
  };
  await fill(60);
  api.put(NODE, annotated("9.9.9.2"));
  await expect.poll(slots).toEqual(["9.9.9.1", "9.9.9.2"]);
  await fill(60);
  expect(new Set(ports).size).toBe(120);
  expect(ports.every((port) => port >= PORTS.min && port <= PORTS.max)).toBe(true);
  expect(await relay.metric("culvert_relay_bind_failures_total")).toBe(0);
});

it("the registry and the operators' view name the new address", async () => {
  const { api, relay } = await startAt("9.9.9.1");
  const advertised = async () => (await relay.store.relays()).flatMap(({ turn }) => turn.map(({ ip }) => ip));
  await expect.poll(advertised).toEqual(["9.9.9.1"]);
  api.put(NODE, annotated("9.9.9.2"));
  await expect.poll(advertised).toEqual(["9.9.9.2"]);
});

it("a relay that starts again under another address leaves the old one's allocations alone", async () => {
  const fleet = startFleet();
  const first = await startAt("9.9.9.1", fleet);
  const call = await first.relay.connect("udp");
  await call.allocate();
  await first.relay.service.stop();
  const second = await startAt("9.9.9.2", fleet);
  expect(second.relay.service.allocations()).toBe(0);
  const client = await second.relay.connect("udp");
  expect((await client.allocate()).relayed.ip).toBe("9.9.9.2");
});
