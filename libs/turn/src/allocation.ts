import type { AddressFamily } from "@culvert/stun";
import type { Claims } from "./authenticator.ts";
import type { Cidr } from "./cidr.ts";
import type { ListenerConfig } from "./config.ts";
import type { Deadline } from "./deadlines.ts";
import type { ClientTuple, Millis, PeerAddress } from "./io.ts";
import type { Owner } from "./outputs.ts";
import type { PeerPorts } from "./peer-guard.ts";
import type { RelaySocket } from "./relay-sockets.ts";

/** An allocation (RFC 8656 section 3.2): one client, and a relayed address of one family or of each. */
export interface Allocation {
  readonly id: number;
  /** Its name in the fleet. */
  readonly record: string;
  client: ClientTuple;
  listener: ListenerConfig;
  readonly owner: Owner;
  readonly username: string;
  readonly claims: Claims;
  /** The only peers that the credential allows. */
  readonly onlyPeers: readonly Cidr[] | undefined;
  readonly createdAt: Millis;
  /** Of the Allocate request, with the response to it: a retransmission gets the same. */
  readonly transactionId: Uint8Array;
  /** Undefined where another process gave it. */
  response: Uint8Array | undefined;
  readonly relays: Map<AddressFamily, Relay>;
  readonly channels: Map<number, Channel>;
  /** By `addressKey` of the peer. */
  readonly channelsByPeer: Map<string, Channel>;
  /** State of the rate of new peers. */
  newPeersEmptyAt: Millis;
  /** Undefined where the client has no ticket. */
  readonly mobility: MobilityState | undefined;
  /** `Changed` was put out, and no snapshot was taken since. */
  changed: boolean;
}

/** Where a client is. */
export interface Whereabouts {
  readonly client: ClientTuple;
  readonly listener: ListenerConfig;
}

/** RFC 8016. */
export interface MobilityState {
  /** Of the ticket that is good. */
  generation: number;
  /** Where the client said to be. Its data goes to the old place until it sends something from there. */
  moving: Whereabouts | undefined;
  /** The Refresh that moved it last: a retransmission gets the same response. */
  last: { readonly client: ClientTuple; readonly transactionId: Uint8Array; readonly response: Uint8Array } | undefined;
  /** Its stream is gone: then the allocation ends, unless the client comes back. */
  orphaned: Deadline | undefined;
}

/** The lifetime that the client was granted last, as far as that is known. */
export interface Granted {
  readonly lifetimeMs: Millis;
  /** Before the relay's expiry where a server that ended without a word may have granted more. */
  readonly until: Millis;
}

/** One relayed address of an allocation. */
export interface Relay {
  readonly allocation: Allocation;
  readonly socket: RelaySocket;
  readonly expiry: Deadline;
  granted: Granted;
  /** By the peer's IP address as the client knows it. */
  readonly permissions: Map<string, Permission>;
  /** State of the byte rates. */
  toPeersEmptyAt: Millis;
  toClientEmptyAt: Millis;
}

/** RFC 8656 section 9. */
export interface Permission {
  readonly relay: Relay;
  readonly ip: string;
  wireIp: string | undefined;
  ports: PeerPorts;
  readonly expiry: Deadline;
}

/** RFC 8656 section 12. */
export interface Channel {
  readonly relay: Relay;
  readonly number: number;
  readonly peer: PeerAddress;
  wireIp: string | undefined;
  readonly expiry: Deadline;
}
