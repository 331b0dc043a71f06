import type { AddressFamily, TransportAddress } from "@culvert/stun";

/**
 * Milliseconds since the Unix epoch on a clock that never steps back. Every deadline in this library is absolute on that
 * clock. The caller passes the time in; the library reads no clock.
 */
export type Millis = number;

declare const kind: unique symbol;
type Branded<Base, Kind extends string> = Base & { readonly [kind]?: Kind };

/** Where a TURN client sends from, as the server sees it. */
export type ClientAddress = Branded<TransportAddress, "client">;
/** Where a peer sends from, as the relay sees it. */
export type PeerAddress = Branded<TransportAddress, "peer">;
/** A relayed transport address as clients and peers know it (after external address mapping). */
export type RelayedAddress = Branded<TransportAddress, "relayed">;
/** The address that a relay socket is bound to on this host (before external address mapping). */
export type LocalAddress = Branded<TransportAddress, "local">;

/** Names a listener of the data plane. With the client's address it makes the 5-tuple of RFC 8656 section 3.2. */
export type ListenerId = number;

/** Names one relay socket: one relayed transport address of one allocation, or a reserved one that waits for its owner. */
export type RelayId = number;

/** Names a lease: the right to relay for a slot of ports, for as long as it is renewed. */
export type LeaseId = number;

/** The 5-tuple: protocol and server address come with the listener. */
export interface ClientTuple {
  readonly listener: ListenerId;
  readonly remote: ClientAddress;
}

/** Transport between client and server. */
export type ClientTransport = "udp" | "tcp" | "tls" | "dtls";

/** An inclusive range of ports. */
export interface PortRange {
  /** 1 to 65535. */
  readonly min: number;
  /** `min` to 65535. */
  readonly max: number;
}

// --- Outputs: what the caller has to do. They are to be carried out in their order. ---

/** Send a datagram (or a frame, on a stream) to a client. Best effort. */
export interface SendToClient {
  readonly type: "send";
  readonly to: "client";
  readonly client: ClientTuple;
  readonly bytes: Uint8Array;
}

/** Send a datagram from a relay socket to a peer. Best effort. */
export interface SendToPeer {
  readonly type: "send";
  readonly to: "peer";
  readonly relay: RelayId;
  readonly peer: PeerAddress;
  readonly bytes: Uint8Array;
  /** Set the DF bit (RFC 8656 sections 14 and 18.9). */
  readonly dontFragment?: boolean;
}

/** Open a UDP relay socket. Answered by `handleBound`. Binding the same relay to the same address again succeeds. */
export interface Bind {
  readonly type: "bind";
  readonly relay: RelayId;
  readonly local: LocalAddress;
  /**
   * The lease under which it relays: nothing passes past the lease's deadline, and nothing before a `Lease` command has
   * named it. Absent: always. Binding it again brings it under another one.
   */
  readonly lease?: LeaseId | undefined;
  /** Where its counters begin, for a relay that is restored. Absent: at zero. */
  readonly counters?: InitialCounters | undefined;
}

/** Application data that a relay has relayed, in packets and bytes. */
export interface InitialCounters {
  readonly packetsToPeers: number;
  readonly bytesToPeers: number;
  readonly packetsToClient: number;
  readonly bytesToClient: number;
}

/** Sets the time until which relays under the lease may relay. Comes from who keeps the lease. */
export interface Lease {
  readonly type: "lease";
  readonly lease: LeaseId;
  readonly deadline: Millis;
}

/** Close a relay socket with all its permissions and channels. Closing one that is not open does nothing. */
export interface Unbind {
  readonly type: "unbind";
  readonly relay: RelayId;
}

/**
 * Whose relay socket it is. Nothing is relayed for a relay before this entry or past its deadline. With another client
 * than before, the relay goes over to it with its permissions, channels and counters (RFC 8016).
 */
export interface AllocationEntry {
  readonly kind: "allocation";
  readonly relay: RelayId;
  readonly client: ClientTuple;
  readonly family: AddressFamily;
  readonly deadline: Millis;
  /** Token bucket for each direction, in bytes per second. Absent: no limit. */
  readonly maxBytesPerSecond?: number | undefined;
}

/** The peer IP address may exchange data with the relay (RFC 8656 section 9). */
export interface PermissionEntry {
  readonly kind: "permission";
  readonly relay: RelayId;
  /** The peer's IP address as the client knows it. */
  readonly ip: string;
  /** The address that packets are sent to and come from where it is another one: an own external address, mapped back. */
  readonly wireIp?: string | undefined;
  readonly deadline: Millis;
  /** Only these ports of the peer: set where the peer is a relay of the own fleet, whose other ports are not peers. */
  readonly ports?: PortRange | undefined;
  /** Never these ports of the peer: the own listeners, where the peer is an address of this host. */
  readonly exceptPorts?: readonly number[] | undefined;
}

/**
 * A channel bound to a peer (RFC 8656 section 12). Data passes only while the permission for the peer's IP address is
 * there too. Channel numbers are unique per client tuple, over both of its relays.
 */
export interface ChannelEntry {
  readonly kind: "channel";
  readonly relay: RelayId;
  /** 0x4000 to 0x4FFF; for clients of RFC 5766 to 0x7FFE. */
  readonly channel: number;
  readonly peer: PeerAddress;
  readonly wireIp?: string | undefined;
  readonly deadline: Millis;
}

export type TableEntry = AllocationEntry | PermissionEntry | ChannelEntry;

/** Insert an entry of the relay table, or replace the one with the same key. */
export interface Upsert {
  readonly type: "upsert";
  readonly entry: TableEntry;
}

/** Remove an entry of the relay table. Removing one that is not there does nothing. */
export interface Revoke {
  readonly type: "revoke";
  readonly key:
    | { readonly kind: "permission"; readonly relay: RelayId; readonly ip: string }
    | { readonly kind: "channel"; readonly relay: RelayId; readonly channel: number };
}

/** Close the stream of a client (TCP, TLS). Does nothing for datagram listeners. */
export interface CloseClient {
  readonly type: "close";
  readonly client: ClientTuple;
}

/** What a data plane carries out. */
export type DataPlaneCommand = SendToClient | SendToPeer | Bind | Unbind | Lease | Upsert | Revoke | CloseClient;

/** Why a relay socket could not be opened. */
export type BindFailure = "in-use" | "unavailable" | "no-descriptors";

export type BindResult = { readonly ok: true } | { readonly ok: false; readonly reason: BindFailure };

/** An ICMP error that a relay socket received (RFC 8656 section 11.5). */
export interface IcmpError {
  readonly type: number;
  readonly code: number;
  /** The next-hop MTU for "fragmentation needed" and "packet too big", otherwise 0. */
  readonly data: number;
}
