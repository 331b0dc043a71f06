import type { AddressFamily } from "@culvert/stun";
import type { Allocation } from "./allocation.ts";
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
  return {
    ...allocation.owner,
    allocation: allocation.id,
    record: allocation.record,
    username: allocation.username,
    client: allocation.client,
    transport: allocation.listener.transport,
    createdAt: allocation.createdAt,
    relays: [...allocation.relays.values()].map((relay) => ({
      relay: relay.socket.id,
      family: relay.socket.family,
      ...(relay.socket.slot === undefined ? {} : { slot: relay.socket.slot }),
      relayed: relay.socket.relayed,
      deadline: relay.expiry.at,
      permissions: [...relay.permissions.values()].map(({ ip, expiry }) => ({ ip, deadline: expiry.at })),
      channels: [...allocation.channels.values()]
        .filter((channel) => channel.relay === relay)
        .map(({ number, peer, expiry }) => ({ channel: number, peer, deadline: expiry.at })),
    })),
  };
}
