import type { AllocationRecord, RecordCounters } from "@culvert/state";
import type { AllocationSnapshot } from "@culvert/turn";
import { type Frontends, tupleKey } from "./frontends.ts";

/** 12 bytes as base64url: a retransmission of an Allocate is then not recognised. */
const NO_TRANSACTION = "AAAAAAAAAAAAAAAA";
const NOTHING: RecordCounters = { packetsToPeers: 0, bytesToPeers: 0, packetsToClient: 0, bytesToClient: 0 };

/**
 * An allocation as the fleet keeps it. Undefined where it has no slot or no listener.
 *
 * @param offset what lies between the relay's clock and fleet time
 */
export function recordOf(
  snapshot: AllocationSnapshot,
  {
    frontends,
    offset,
    counters = NOTHING,
  }: {
    readonly frontends: Frontends;
    readonly offset: number;
    readonly counters?: RecordCounters;
  },
): AllocationRecord | undefined {
  const listener = frontends.get(snapshot.client.listener);
  const slots = snapshot.relays.flatMap(({ slot }) => slot ?? []);
  const [slot] = slots;
  if (listener === undefined || slot === undefined) return undefined;
  const { movingTo, ticket, kid } = snapshot;
  const moving = movingTo === undefined ? undefined : frontends.get(movingTo.listener);
  const at = (own: number): number => Math.round(own + offset);
  return {
    id: snapshot.record,
    slot,
    slots,
    tuple: tupleKey(listener, snapshot.client.remote),
    transport: listener.transport,
    listener: listener.address,
    frontend: listener.frontend,
    remote: snapshot.client.remote,
    tenant: snapshot.tenant,
    user: snapshot.user,
    username: snapshot.username,
    ...(kid === undefined ? {} : { kid }),
    claims: claimsOf(snapshot.claims),
    createdAt: at(snapshot.createdAt),
    transaction: snapshot.transaction,
    ...(ticket === undefined ? {} : { ticketNumber: ticket }),
    ...(movingTo === undefined || moving?.frontend !== listener.frontend ? {} : { movingTo: movingTo.remote }),
    relays: snapshot.relays.map(({ family, local, relayed, permissions, channels, ...relay }) => ({
      family,
      local,
      relayed,
      ...lifetimeOf(relay, at),
      permissions: permissions.map((permission) => ({ ip: permission.ip, expiresAt: at(permission.expiresAt) })),
      channels: channels.map(({ number, peer, expiresAt: until }) => ({ number, peer, expiresAt: at(until) })),
    })),
    counters,
  };
}

interface Lifetime {
  readonly expiresAt: number;
  readonly lifetimeMs?: number;
  readonly grantedUntil?: number;
}

/** Deadlines on another clock. */
function lifetimeOf({ expiresAt, lifetimeMs, grantedUntil }: Lifetime, at: (time: number) => number): Lifetime {
  return {
    expiresAt: at(expiresAt),
    ...(lifetimeMs === undefined ? {} : { lifetimeMs }),
    ...(grantedUntil === undefined ? {} : { grantedUntil: at(grantedUntil) }),
  };
}

function claimsOf({
  peerCidrs,
  maxBps,
  maxAllocations,
  clientIp,
}: AllocationSnapshot["claims"]): AllocationRecord["claims"] {
  return {
    ...(peerCidrs === undefined ? {} : { peerCidrs }),
    ...(maxBps === undefined ? {} : { maxBps }),
    ...(maxAllocations === undefined ? {} : { maxAllocations }),
    ...(clientIp === undefined ? {} : { clientIp }),
  };
}

/** What this relay restores. Undefined where it has no listener for the client. */
export function snapshotOf(
  record: AllocationRecord,
  { frontends, offset }: { readonly frontends: Frontends; readonly offset: number },
): AllocationSnapshot | undefined {
  const listener = frontends.find(record.transport, record.frontend, record.listener);
  if (listener === undefined) return undefined;
  const { tenant, user, kid, claims } = record;
  const at = (fleet: number): number => fleet - offset;
  return {
    version: 1,
    record: record.id,
    client: { listener: listener.id, remote: record.remote },
    ...(record.movingTo === undefined ? {} : { movingTo: { listener: listener.id, remote: record.movingTo } }),
    transport: record.transport,
    tenant,
    user,
    kid,
    username: record.username,
    claims: { tenant, user, ...(kid === undefined ? {} : { kid }), ...claims },
    createdAt: at(record.createdAt),
    transaction: record.transaction ?? NO_TRANSACTION,
    ...(record.ticketNumber === undefined ? {} : { ticket: record.ticketNumber }),
    relays: record.relays.map(({ family, local, relayed, permissions, channels, ...relay }, index) => ({
      family,
      slot: record.slots[index],
      local,
      relayed,
      ...lifetimeOf(relay, at),
      permissions: permissions.map(({ ip, expiresAt: until }) => ({ ip, expiresAt: at(until) })),
      channels: channels.map(({ number, peer, expiresAt: until }) => ({ number, peer, expiresAt: at(until) })),
      // What both relayed addresses carried is told as one sum.
      ...(index === 0 ? { counters: record.counters } : {}),
    })),
  };
}
