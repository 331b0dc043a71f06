import type { AddressFamily } from "@culvert/stun";
import type { Allocation, Relay } from "./allocation.ts";
import type { ClientTransport, ClientTuple, Millis, PeerAddress, RelayedAddress, RelayId } from "./io.ts";
import type { Owner } from "./outputs.ts";

/** An allocation as it was at one moment. */
export interface AllocationInfo extends Owner {
  readonly allocation: number;
  /** Its name in the fleet. */
  readonly record: string;
  readonly username: string;
  readonly client: ClientTuple;
  readonly transport: ClientTransport;
  readonly createdAt: Millis;
  readonly relays: readonly RelayInfo[];
}

export interface RelayInfo {
  readonly relay: RelayId;
  readonly family: AddressFamily;
  /** Absent where ports do not come in slots. */
  readonly slot?: string | undefined;
  readonly relayed: RelayedAddress;
  readonly deadline: Millis;
  readonly permissions: readonly { readonly ip: string; readonly deadline: Millis }[];
  readonly channels: readonly { readonly channel: number; readonly peer: PeerAddress; readonly deadline: Millis }[];
}

export function infoOf(allocation: Allocation): AllocationInfo {
  const { tenant, user, kid } = allocation.owner;
  const relays: RelayInfo[] = [];
  for (const relay of allocation.relays.values()) relays.push(relayInfoOf(allocation, relay));
  return {
    tenant,
    user,
    kid,
    allocation: allocation.id,
    record: allocation.record,
    username: allocation.username,
    client: allocation.client,
    transport: allocation.listener.transport,
    createdAt: allocation.createdAt,
    relays,
  };
}

function relayInfoOf(allocation: Allocation, relay: Relay): RelayInfo {
  const { id, family, slot, relayed } = relay.socket;
  const permissions: { readonly ip: string; readonly deadline: Millis }[] = [];
  for (const { ip, expiry } of relay.permissions.values()) permissions.push({ ip, deadline: expiry.at });
  const channels: { readonly channel: number; readonly peer: PeerAddress; readonly deadline: Millis }[] = [];
  for (const channel of allocation.channels.values()) {
    const { number, peer, expiry } = channel;
    if (channel.relay === relay) channels.push({ channel: number, peer, deadline: expiry.at });
  }
  return { relay: id, family, slot, relayed, deadline: relay.expiry.at, permissions, channels };
}
