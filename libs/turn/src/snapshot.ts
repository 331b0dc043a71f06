import type { AddressFamily } from "@culvert/stun";
import type { Allocation, Relay } from "./allocation.ts";
import type { Claims } from "./authenticator.ts";
import { encodeBase64Url } from "./base64.ts";
import type {
  ClientTransport,
  ClientTuple,
  InitialCounters,
  LocalAddress,
  Millis,
  PeerAddress,
  RelayedAddress,
} from "./io.ts";

/**
 * All that another server needs to carry an allocation on: plain data that JSON keeps. Deadlines are on the clock of the
 * server that made it, listeners and local addresses are its own; whoever hands it to another server translates them.
 * No password, nor a key derived from one, is in it.
 */
export interface AllocationSnapshot {
  readonly version: 1;
  /** Names the allocation in the fleet: 96 random bits as 16 characters of base64url. Its mobility tickets name it, too. */
  readonly record: string;
  readonly client: ClientTuple;
  /** Where the client asked to be moved to, and has not sent data from yet (RFC 8016 section 3.2.2). */
  readonly movingTo?: ClientTuple;
  readonly transport: ClientTransport;
  readonly tenant: string;
  readonly user: string;
  readonly kid?: string | undefined;
  readonly username: string;
  readonly claims: Claims;
  readonly createdAt: Millis;
  /** Transaction ID of the Allocate request: 12 bytes as base64url. A retransmission gets a success response again. */
  readonly transaction: string;
  /** Present where the client has a mobility ticket: how many it was given before the one that is good now. */
  readonly ticket?: number;
  readonly relays: readonly RelaySnapshot[];
}

/** One relayed address. The first of an allocation is the one whose slot owns the record. */
export interface RelaySnapshot {
  readonly family: AddressFamily;
  /** Absent where ports do not come in slots. */
  readonly slot?: string | undefined;
  readonly local: LocalAddress;
  readonly relayed: RelayedAddress;
  readonly expiresAt: Millis;
  /** The lifetime that the client was granted last. Absent: unknown. */
  readonly lifetimeMs?: Millis;
  /** When that ends. Absent: at `expiresAt`. Earlier than that: `RestoreOptions.abrupt`. */
  readonly grantedUntil?: Millis;
  readonly permissions: readonly PermissionSnapshot[];
  readonly channels: readonly ChannelSnapshot[];
  /** Never set by the server, which counts nothing: what `Bind` is to carry on with when the allocation is restored. */
  readonly counters?: InitialCounters;
}

export interface PermissionSnapshot {
  readonly ip: string;
  readonly expiresAt: Millis;
}

export interface ChannelSnapshot {
  readonly number: number;
  readonly peer: PeerAddress;
  readonly expiresAt: Millis;
}

/** An allocation as it is now. */
export function snapshotOf(allocation: Allocation): AllocationSnapshot {
  const { record, client, listener, owner, mobility } = allocation;
  return {
    version: 1,
    record,
    client,
    ...(mobility?.moving === undefined ? {} : { movingTo: mobility.moving.client }),
    transport: listener.transport,
    tenant: owner.tenant,
    user: owner.user,
    ...(owner.kid === undefined ? {} : { kid: owner.kid }),
    username: allocation.username,
    claims: allocation.claims,
    createdAt: allocation.createdAt,
    transaction: encodeBase64Url(allocation.transactionId),
    ...(mobility === undefined ? {} : { ticket: mobility.generation }),
    relays: [...allocation.relays.values()].map((relay) => relayOf(allocation, relay)),
  };
}

function relayOf({ channels }: Allocation, relay: Relay): RelaySnapshot {
  const { family, slot, local, relayed } = relay.socket;
  const { granted, expiry: end } = relay;
  return {
    family,
    ...(slot === undefined ? {} : { slot }),
    local,
    relayed,
    expiresAt: end.at,
    lifetimeMs: granted.lifetimeMs,
    ...(granted.until === end.at ? {} : { grantedUntil: granted.until }),
    permissions: [...relay.permissions.values()].map(({ ip, expiry }) => ({ ip, expiresAt: expiry.at })),
    channels: [...channels.values()]
      .filter((channel) => channel.relay === relay)
      .map(({ number, peer, expiry }) => ({ number, peer, expiresAt: expiry.at })),
  };
}
