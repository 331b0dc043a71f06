import type { AllocationRecord, FleetStore, FleetTime, Lease, LeaseClaim, RelayEntry } from "../fleet/port.ts";

/**
 * How long the leases of the contract hold, in milliseconds. A third of it is what may pass meanwhile at a storage that has a
 * clock of its own: more than a test may take.
 */
export const TTL = 180_000;

export const SLOT = "203.0.113.7/49152-49663";
export const OTHER_SLOT = "203.0.113.7/49664-50175";

export const claimOf = (change: Partial<LeaseClaim> = {}): LeaseClaim => ({
  slot: SLOT,
  identity: "relay-0",
  instance: "a0",
  host: "host-0",
  ...change,
});

export const entryOf = (change: Partial<RelayEntry> = {}): RelayEntry => ({
  identity: "relay-0",
  instance: "a0",
  host: "host-0",
  mesh: { ip: "10.0.0.10", port: 3479 },
  turn: [{ ip: "203.0.113.7", port: 3478 }],
  load: { allocations: 3, capacity: 1000, draining: false },
  admin: "10.0.0.10:9191",
  startedAt: 1_000,
  sentAt: 5_000,
  contact: [{ since: 2_000, until: 5_000 }],
  ...change,
});

/** An id like those of the relays: 16 characters of base64url. */
export const idOf = (index: number): string => `record-${String(index).padStart(9, "0")}`;

/** A record with an own tuple, that expires in a while. */
export const recordOf = (index: number, now: FleetTime, change: Partial<AllocationRecord> = {}): AllocationRecord => ({
  id: idOf(index),
  slot: SLOT,
  slots: [SLOT],
  tuple: `udp 203.0.113.7:3478 198.51.100.1:${index}`,
  transport: "udp",
  listener: { ip: "203.0.113.7", port: 3478 },
  frontend: "203.0.113.7:3478",
  remote: { ip: "198.51.100.1", port: index },
  tenant: "acme",
  user: "alice",
  username: "1700000100:k1:claims",
  kid: "k1",
  claims: { peerCidrs: ["198.51.100.0/24"], maxBps: 125_000, maxAllocations: 5, clientIp: "198.51.100.1" },
  createdAt: now,
  transaction: "AAECAwQFBgcICQoL",
  ticketNumber: 2,
  movingTo: { ip: "198.51.100.2", port: 7 },
  relays: [
    {
      family: 4,
      local: { ip: "10.0.0.10", port: 49_152 + (index % 512) },
      relayed: { ip: "203.0.113.7", port: 49_152 + (index % 512) },
      expiresAt: now + 600_000,
      permissions: [{ ip: "192.0.2.1", expiresAt: now + 300_000 }],
      channels: [{ number: 0x4000, peer: { ip: "192.0.2.1", port: 5000 }, expiresAt: now + 600_000 }],
    },
  ],
  counters: { packetsToPeers: 1, bytesToPeers: 200, packetsToClient: 3, bytesToClient: 400 },
  ...change,
});

/** The same record with its allocation's expiry moved. */
export const expiringAt = (record: AllocationRecord, expiresAt: FleetTime): AllocationRecord => ({
  ...record,
  relays: record.relays.map((relay) => ({ ...relay, expiresAt })),
});

/** Takes a slot that nobody else may have. */
export async function take(store: FleetStore, change: Partial<LeaseClaim> = {}): Promise<Lease> {
  const taken = await store.acquire(claimOf(change), "same-identity", TTL);
  if (!taken.ok) throw new Error(`${change.slot ?? SLOT} was not given: ${JSON.stringify(taken)}`);
  return taken.lease;
}

/** All pages of a slot, as one. */
export async function all(pages: AsyncIterable<readonly AllocationRecord[]>): Promise<AllocationRecord[]> {
  const records: AllocationRecord[] = [];
  for await (const page of pages) records.push(...page);
  return records;
}
