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
  readonly client: ClientTuple;
  readonly listener: ListenerConfig;
  readonly owner: Owner;
  readonly username: string;
  readonly claims: Claims;
  /** The only peers that the credential allows. */
  readonly onlyPeers: readonly Cidr[] | undefined;
  readonly createdAt: Millis;
  /** Of the Allocate request, with the response to it: a retransmission gets the same. */
  readonly transactionId: Uint8Array;
  response: Uint8Array;
  readonly relays: Map<AddressFamily, Relay>;
  readonly channels: Map<number, Channel>;
  /** By `addressKey` of the peer. */
  readonly channelsByPeer: Map<string, Channel>;
  /** State of the rate of new peers. */
  newPeersEmptyAt: Millis;
}

/** One relayed address of an allocation. */
export interface Relay {
  readonly allocation: Allocation;
  readonly socket: RelaySocket;
  readonly expiry: Deadline;
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
  readonly wireIp: string | undefined;
  ports: PeerPorts;
  readonly expiry: Deadline;
}

/** RFC 8656 section 12. */
export interface Channel {
  readonly relay: Relay;
  readonly number: number;
  readonly peer: PeerAddress;
  readonly wireIp: string | undefined;
  readonly expiry: Deadline;
}
