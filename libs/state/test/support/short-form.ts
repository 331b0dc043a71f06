import type { AllocationRecord, FleetStore, Lease, RelayEntry } from "@culvert/state";
import { expect } from "vitest";

/** Milliseconds. A third of it is more than a test may take. */
export const TTL = 180_000;
export const SLOT = "203.0.113.7/49152-49663";

export const ENTRY: RelayEntry = {
  identity: "relay-0",
  instance: "a0",
  host: "host-0",
  turn: [{ ip: "203.0.113.7", port: 3478 }],
  load: { allocations: 0, capacity: 1000, draining: false },
  startedAt: 1,
  sentAt: 1,
  contact: [],
};

export function recordOf(index: number, now: number, change: Partial<AllocationRecord> = {}): AllocationRecord {
  return {
    id: `record-${String(index).padStart(9, "0")}`,
    slot: SLOT,
    slots: [SLOT],
    tuple: `udp f 198.51.100.1:${index}`,
    transport: "udp",
    listener: { ip: "203.0.113.7", port: 3478 },
    frontend: "f",
    remote: { ip: "198.51.100.1", port: index },
    tenant: "acme",
    user: "alice",
    username: "1:alice",
    claims: {},
    createdAt: now,
    relays: [
      {
        family: 4,
        local: { ip: "10.0.0.1", port: 49_152 },
        relayed: { ip: "203.0.113.7", port: 49_152 },
        expiresAt: now + 600_000,
        permissions: [],
        channels: [],
      },
    ],
    counters: { packetsToPeers: 0, bytesToPeers: 0, packetsToClient: 0, bytesToClient: 0 },
    ...change,
  };
}

/** Lets time pass at a Redis. */
export type Elapse = (ms: number) => Promise<void>;

/** Lets one lease's time pass as it does where a relay renews every third of it. */
export async function liveOneLease(store: FleetStore, elapse: Elapse, relay: RelayEntry = ENTRY): Promise<void> {
  await store.renew(relay, [], TTL);
  for (let third = 0; third < 3; third++) {
    await elapse(Math.ceil(TTL / 3));
    await store.renew(relay, [], TTL);
  }
}

/** Takes the slot, which a new store does not give before one lease's time has passed. */
export async function takeSlot(store: FleetStore, elapse: Elapse): Promise<Lease> {
  await liveOneLease(store, elapse);
  const claim = { slot: SLOT, identity: ENTRY.identity, instance: ENTRY.instance, host: ENTRY.host };
  const taken = await store.acquire(claim, "same-identity", TTL);
  if (!taken.ok) throw new Error(`not given for ${taken.expiresInMs} ms`);
  return taken.lease;
}

/** One call of each kind, to see that the way to Redis carries them all. */
export async function useEverything(store: FleetStore, elapse: Elapse): Promise<void> {
  const lease = await takeSlot(store, elapse);
  const now = await store.time();
  expect(await store.renew(ENTRY, [lease], TTL)).toMatchObject({ lost: [], reasserted: [] });
  expect(await store.slots()).toMatchObject([{ slot: SLOT, identity: "relay-0" }]);
  expect(await store.relays()).toEqual([ENTRY]);
  const results = await Promise.all(
    Array.from({ length: 50 }, (_, index) => store.admit(recordOf(index, now), lease.epoch, { perUser: 20 })),
  );
  expect(results.filter(({ kind }) => kind === "granted")).toHaveLength(20);
  const puts = Array.from({ length: 300 }, (_, index) => recordOf(index, now, { user: "bob" }));
  const written = await store.write(puts.map((record) => ({ kind: "put", record, epoch: lease.epoch })));
  expect(new Set(written)).toEqual(new Set(["written"]));
  let found = 0;
  for await (const page of store.recordsOf(SLOT)) found += page.length;
  expect(found).toBe(300);
  expect((await store.list({ tenant: "acme", user: "bob" }, { limit: 10 })).records).toHaveLength(10);
  expect((await store.list({ identity: "relay-0" }, { limit: 10 })).records).toHaveLength(10);
  const [first] = puts;
  expect(await store.byTuple(first?.tuple ?? "")).toMatchObject({ id: first?.id });
  expect(await store.get(first?.id ?? "")).toMatchObject({ record: first });
  await store.unregister("relay-0", "a0");
  await store.release(lease, "a0");
  expect(await store.slots()).toMatchObject([{ releasedTo: "" }]);
}
