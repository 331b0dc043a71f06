import type { PlaneCommand } from "@culvert/dataplane";
import { createMemoryFleet, type RelayEntry } from "@culvert/state";
import { encodeMessage, MessageClass, Method } from "@culvert/stun";
import { manualClock, nodeCrypto } from "@culvert/testkit";
import type { ClientTuple } from "@culvert/turn";
import { expect, test } from "vitest";
import { FleetTime } from "../src/fleet/fleet-time.ts";
import { Frontends } from "../src/fleet/frontends.ts";
import { Peers } from "../src/fleet/peers.ts";
import { Router } from "../src/fleet/router.ts";

const TTL = 3_000;
const SLOT = "192.0.2.2/50000-50099";
const LISTENER = { id: 0, transport: "udp", address: { ip: "192.0.2.1", port: 3478 }, frontend: "balancer" } as const;
const CLIENT: ClientTuple = { listener: LISTENER.id, remote: { ip: "198.51.100.9", port: 5000 } };
const OWNER = { identity: "relay-b", instance: "0b".repeat(16), host: "host-b" };
const MESH = { ip: "192.0.2.2", port: 3479 };
const CHANNEL_DATA = Uint8Array.of(0x40, 0, 0, 4, 1, 2, 3, 4);
/** The own server has nothing. */
const EMPTY = { owns: () => false, find: () => undefined };

/** A relay beside `relay-b`, which has the client's allocation. */
async function start() {
  const clock = manualClock();
  const now = (): number => clock.now();
  const store = createMemoryFleet(now).connect();
  const entry: RelayEntry = {
    ...OWNER,
    mesh: MESH,
    turn: [],
    load: { allocations: 1, capacity: 100, draining: false },
    startedAt: now(),
    sentAt: now(),
    contact: [],
  };
  await store.renew(entry, [], TTL);
  for (let passed = 0; passed <= TTL; passed += TTL / 4) {
    clock.advance(TTL / 4);
    await store.renew(entry, [], TTL);
  }
  const taken = await store.acquire({ slot: SLOT, ...OWNER }, "same-identity", TTL);
  if (!taken.ok) throw new Error("the slot is not to be had");
  const frontends = new Frontends();
  frontends.add(LISTENER);
  const tuple = frontends.tuple(CLIENT) ?? "";
  const relayed = { ip: "192.0.2.2", port: 50_000 };
  const expiresAt = now() + 600_000;
  await store.admit(
    {
      id: "A".repeat(16),
      slot: SLOT,
      slots: [SLOT],
      tuple,
      transport: "udp",
      listener: { ip: "192.0.2.2", port: 3478 },
      frontend: LISTENER.frontend,
      remote: CLIENT.remote,
      tenant: "default",
      user: "alice",
      username: "alice",
      claims: {},
      createdAt: now(),
      relays: [{ family: 4, local: relayed, relayed, expiresAt, permissions: [], channels: [] }],
      counters: { packetsToPeers: 0, bytesToPeers: 0, packetsToClient: 0, bytesToClient: 0 },
    },
    taken.lease.epoch,
    {},
  );

  const commands: PlaneCommand[] = [];
  const dataPlane = { apply: (some: readonly PlaneCommand[]) => void commands.push(...some) };
  const delivered: Uint8Array[] = [];
  const peers = new Peers({
    dataPlane,
    identity: "relay-a",
    hear: () => {},
    onGone: (identity) => router.forgetRelay(identity),
    onControl: () => {},
  });
  peers.meshed = true;
  const router: Router = new Router({
    dataPlane,
    store,
    frontends,
    peers,
    time: new FleetTime(now),
    crypto: nodeCrypto,
    identity: "relay-a",
    ticketKeys: () => [],
    mayAsk: () => true,
    restoring: () => false,
    deliver: (_, bytes) => void delivered.push(bytes),
  });
  peers.see([entry]);
  const take = (bytes: Uint8Array): boolean =>
    router.take({ type: "client-input", client: CLIENT, bytes: new Uint8Array(bytes) }, EMPTY, now());
  const forwarded = (): number => commands.filter(({ type }) => type === "forward").length;
  const dropped = (): number => router.counters.drops.get("no-peer") ?? 0;
  return { clock, peers, entry, take, forwarded, dropped, delivered };
}

const refresh = (): Uint8Array =>
  encodeMessage({
    method: Method.Refresh,
    class: MessageClass.Request,
    transactionId: new Uint8Array(12),
    attributes: [],
  });

test("for five seconds after a relay went nobody answers its clients in its place", async () => {
  const it = await start();
  expect(it.take(CHANNEL_DATA)).toBe(true);
  await expect.poll(() => it.forwarded()).toBe(1);

  it.peers.see([]);
  expect(it.take(refresh())).toBe(true);
  await expect.poll(() => it.dropped()).toBe(1);
  it.clock.advance(4_999);
  expect(it.take(CHANNEL_DATA)).toBe(true);
  await expect.poll(() => it.dropped()).toBe(2);
  expect(it.delivered).toEqual([]);

  it.clock.advance(1);
  const late = refresh();
  // Perhaps the own server is asked at once, perhaps after the owner was looked up.
  if (it.take(late)) await expect.poll(() => it.delivered).toHaveLength(1);
  expect(it.dropped()).toBe(2);
  expect(it.forwarded()).toBe(1);
});

test("once the relay is back its clients reach it again", async () => {
  const it = await start();
  expect(it.take(CHANNEL_DATA)).toBe(true);
  await expect.poll(() => it.forwarded()).toBe(1);
  it.peers.see([]);
  expect(it.take(CHANNEL_DATA)).toBe(true);
  await expect.poll(() => it.dropped()).toBe(1);
  it.peers.see([{ ...it.entry, instance: "1b".repeat(16) }]);
  expect(it.take(CHANNEL_DATA)).toBe(true);
  await expect.poll(() => it.forwarded()).toBe(2);
});

test("of a relay that has long gone nothing is waited for", async () => {
  const it = await start();
  it.peers.see([]);
  it.clock.advance(60_000);
  expect(it.take(refresh())).toBe(true);
  await expect.poll(() => it.delivered).toHaveLength(1);
  expect(it.dropped()).toBe(0);
});
