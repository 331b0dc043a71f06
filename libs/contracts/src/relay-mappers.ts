import {
  type WatchAllocationsResponse,
  type Allocation as WireAllocation,
  type Endpoint as WireEndpoint,
  type AllocationFilter as WireFilter,
  type Relay as WireRelay,
  type RelayedAddress as WireRelayedAddress,
  RelayState as WireRelayState,
  ClientTransport as WireTransport,
} from "./generated/culvert/relay/v1/relay.ts";
import { ContractError } from "./mappers.ts";
import type {
  AllocationChange,
  AllocationFilter,
  AllocationStatus,
  ClientTransport,
  Endpoint,
  RelayedAddressStatus,
  RelayStatus,
} from "./relay-status.ts";

const TRANSPORTS: Readonly<Record<ClientTransport, WireTransport>> = {
  udp: WireTransport.CLIENT_TRANSPORT_UDP,
  tcp: WireTransport.CLIENT_TRANSPORT_TCP,
  tls: WireTransport.CLIENT_TRANSPORT_TLS,
  dtls: WireTransport.CLIENT_TRANSPORT_DTLS,
};

const millis = (value: number): bigint => BigInt(Math.round(value));

function fromWireEndpoint(endpoint: WireEndpoint | undefined): Endpoint {
  if (endpoint === undefined) throw new ContractError("an address is missing");
  return { ip: endpoint.ip, port: endpoint.port };
}

export function toWireRelay(relay: RelayStatus): WireRelay {
  return {
    identity: relay.identity,
    state: relay.state === "draining" ? WireRelayState.RELAY_STATE_DRAINING : WireRelayState.RELAY_STATE_SERVING,
    startedAtMs: millis(relay.startedAt),
    allocations: relay.allocations,
    capacity: relay.capacity,
    turn: relay.turn.map(({ ip, port }) => ({ ip, port })),
    slots: [...relay.slots],
  };
}

/** @throws ContractError when the message lacks what makes it one */
export function fromWireRelay(relay: WireRelay | undefined): RelayStatus {
  if (relay === undefined || relay.identity === "") throw new ContractError("a relay needs an identity");
  return {
    identity: relay.identity,
    state: relay.state === WireRelayState.RELAY_STATE_DRAINING ? "draining" : "serving",
    startedAt: Number(relay.startedAtMs),
    allocations: relay.allocations,
    capacity: relay.capacity,
    turn: relay.turn.map(fromWireEndpoint),
    slots: relay.slots,
  };
}

export function toWireAllocation(allocation: AllocationStatus): WireAllocation {
  const { traffic } = allocation;
  return {
    id: allocation.id,
    relay: allocation.relay,
    tenant: allocation.tenant,
    user: allocation.user,
    username: allocation.username,
    kid: allocation.kid ?? "",
    transport: TRANSPORTS[allocation.transport],
    client: { ...allocation.client },
    createdAtMs: millis(allocation.createdAt),
    relayed: allocation.relayed.map(toWireRelayed),
    traffic: {
      packetsToPeers: BigInt(traffic.packetsToPeers),
      bytesToPeers: BigInt(traffic.bytesToPeers),
      packetsToClient: BigInt(traffic.packetsToClient),
      bytesToClient: BigInt(traffic.bytesToClient),
      readAtMs: millis(traffic.readAt),
    },
  };
}

function toWireRelayed({ address, expiresAt, permissions, channels }: RelayedAddressStatus): WireRelayedAddress {
  return {
    address: { ...address },
    expiresAtMs: millis(expiresAt),
    permissions: permissions.map((permission) => ({ ip: permission.ip, expiresAtMs: millis(permission.expiresAt) })),
    channels: channels.map(({ number, peer, expiresAt: at }) => ({
      number,
      peer: { ...peer },
      expiresAtMs: millis(at),
    })),
  };
}

/** @throws ContractError when the message lacks what makes it one */
export function fromWireAllocation(allocation: WireAllocation | undefined): AllocationStatus {
  if (allocation === undefined || allocation.id === "") throw new ContractError("an allocation needs an id");
  const { traffic } = allocation;
  const known = Object.entries(TRANSPORTS) as readonly (readonly [ClientTransport, WireTransport])[];
  return {
    id: allocation.id,
    relay: allocation.relay,
    tenant: allocation.tenant,
    user: allocation.user,
    username: allocation.username,
    ...(allocation.kid === "" ? {} : { kid: allocation.kid }),
    transport: known.find(([, wire]) => wire === allocation.transport)?.[0] ?? "udp",
    client: fromWireEndpoint(allocation.client),
    createdAt: Number(allocation.createdAtMs),
    relayed: allocation.relayed.map(fromWireRelayed),
    traffic: {
      packetsToPeers: Number(traffic?.packetsToPeers ?? 0n),
      bytesToPeers: Number(traffic?.bytesToPeers ?? 0n),
      packetsToClient: Number(traffic?.packetsToClient ?? 0n),
      bytesToClient: Number(traffic?.bytesToClient ?? 0n),
      readAt: Number(traffic?.readAtMs ?? 0n),
    },
  };
}

function fromWireRelayed(relayed: WireRelayedAddress): RelayedAddressStatus {
  return {
    address: fromWireEndpoint(relayed.address),
    expiresAt: Number(relayed.expiresAtMs),
    permissions: relayed.permissions.map(({ ip, expiresAtMs }) => ({ ip, expiresAt: Number(expiresAtMs) })),
    channels: relayed.channels.map(({ number, peer, expiresAtMs }) => ({
      number,
      peer: fromWireEndpoint(peer),
      expiresAt: Number(expiresAtMs),
    })),
  };
}

export function toWireFilter({ tenant = "", user = "", relay = "" }: AllocationFilter): WireFilter {
  return { tenant, user, relay };
}

export function fromWireFilter(filter: WireFilter | undefined): AllocationFilter {
  const set = Object.entries(filter ?? {}).filter(([, value]) => value !== "");
  return Object.fromEntries(set);
}

/** The message that `RelayService.WatchAllocations` sends for a change. */
export function toWatchAllocationsResponse(change: AllocationChange): WatchAllocationsResponse {
  switch (change.type) {
    case "snapshot": {
      const { first, last } = change;
      return {
        change: { $case: "snapshot", value: { allocations: change.allocations.map(toWireAllocation), first, last } },
      };
    }
    case "created":
      return { change: { $case: "created", value: toWireAllocation(change.allocation) } };
    case "refreshed":
      return { change: { $case: "refreshed", value: toWireAllocation(change.allocation) } };
    case "deleted": {
      const { reason } = change;
      return { change: { $case: "deleted", value: { allocation: toWireAllocation(change.allocation), reason } } };
    }
  }
}

/**
 * The change that a message of `RelayService.WatchAllocations` stands for.
 *
 * @returns `undefined` for a kind of change that this process does not know
 * @throws ContractError when the message lacks what makes it one
 */
export function fromWatchAllocationsResponse({ change }: WatchAllocationsResponse): AllocationChange | undefined {
  switch (change?.$case) {
    case "snapshot": {
      const { first, last, allocations } = change.value;
      return { type: "snapshot", allocations: allocations.map(fromWireAllocation), first, last };
    }
    case "created":
    case "refreshed":
      return { type: change.$case, allocation: fromWireAllocation(change.value) };
    case "deleted":
      return { type: "deleted", allocation: fromWireAllocation(change.value.allocation), reason: change.value.reason };
    default:
      return undefined;
  }
}
