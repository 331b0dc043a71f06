import type { TransportAddress } from "@culvert/stun";
import type { BindResult, ClientTuple, IcmpError, ListenerId, Millis, RelayId } from "@culvert/turn";
import type { MeshControlEvent, MeshCounters, MeshPeerId, MeshSpec, OpenMesh, PlaneCommand } from "./mesh-port.ts";

/**
 * The data plane: it owns the sockets and one flat table, (listener, client address, channel or peer) <-> (relayed port,
 * peer). What the table answers never leaves the data plane; the rest goes up as events.
 *
 * Commands are idempotent and carried out in order. Every table entry carries its own deadline, so a stalled control
 * loop fails closed: at the deadline nothing passes any more, revoked or not.
 */
export interface DataPlane {
  /**
   * Opens a listener. Rejects with a `ListenError` that names the address when the address is taken or not on this host,
   * or when a certificate does not parse.
   */
  listen(spec: ListenerSpec): Promise<BoundListener>;

  /**
   * Replaces the certificate of a TLS listener; established sessions go on. Throws a `ListenError` when the certificate
   * does not parse or is not the key's, and then keeps the one it had; or when the listener is not an open TLS one.
   */
  setCertificate(listener: ListenerId, certificate: Certificate): void;

  /**
   * Joins the mesh of a fleet: once, after its listeners are open. Rejects with a `ListenError` when the address is taken or
   * not one of this host, or what is given does not fit together.
   */
  openMesh(spec: MeshSpec): Promise<OpenMesh>;

  /** Replaces the secrets of the mesh; see `MeshSpec.secrets`. Throws a `ListenError` when no mesh is open. */
  setMeshSecrets(secrets: readonly Uint8Array[]): void;

  /**
   * Carries out commands in their order. Never throws for what the network did; that is counted.
   *
   * Table entries may follow their `bind` at once, without waiting for its answer; entries for a relay that is not open
   * are void. An allocation entry takes the place of another relay of the same client and family, and ends the relay's
   * tie to another client; the end of a client's stream ends that tie too. `SendToPeer` obeys the table: it takes a live
   * allocation and a live permission, and is mapped to the wire as the permission says. A `bind` of a relay that is open
   * on another address fails as "in-use".
   *
   * For a relay that was bound under a lease nothing is relayed, either way, past the lease's deadline or before the first
   * "lease" command for it ("fenced").
   */
  apply(commands: readonly PlaneCommand[]): void;

  /** Sets the one consumer of events. Events that come before it is set are lost. */
  onEvents(sink: (events: readonly DataPlaneEvent[]) => void): void;

  /** Totals since the start. */
  counters(): DataPlaneCounters;

  /** Totals of one relay since it was bound, on top of what its `bind` brought along; undefined when it is not open. */
  relayCounters(relay: RelayId): RelayCounters | undefined;

  /** Closes every socket. Resolves when all are closed. */
  close(): Promise<void>;
}

export interface Certificate {
  /** PEM, the leaf first. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
}

export interface ListenerSpec {
  readonly id: ListenerId;
  readonly transport: "udp" | "tcp" | "tls";
  /**
   * Port 0 takes a free one; see `BoundListener.local`. Name one address of the host with each listener: a UDP listener
   * on a wildcard (`0.0.0.0`, `::`) answers from the address that the kernel picks, which on a host with several is not
   * always the one that the client asked, and then reaches nobody. IPv6 listeners serve IPv6 only, `::` too.
   */
  readonly local: TransportAddress;
  /** For "tls": TLS 1.2 and 1.3 are spoken. */
  readonly certificate?: Certificate;
  /**
   * "turn" (the default) passes ChannelData and STUN and relays what the table allows. "stun" hands every STUN message up
   * and drops the rest.
   */
  readonly mode?: "turn" | "stun";
  /**
   * Name of its client-facing address space, for a listener that is opened while a mesh is open: it takes part from then on,
   * as those of `MeshSpec.frontends` do. Default: it takes no part.
   */
  readonly frontend?: string;
}

export interface BoundListener {
  readonly id: ListenerId;
  readonly local: TransportAddress;
}

export type DataPlaneEvent =
  /**
   * A STUN message or ChannelData from a client that the table could not answer. `bytes` belong to the receiver. The
   * table answers ChannelData on channels that it has, and Send indications with nothing in them that must be understood
   * but XOR-PEER-ADDRESS, DATA and DONT-FRAGMENT: relays or drops them. Everything else of STUN's shape comes here, and
   * ChannelData on channels that it does not have. One that came over a stream is without its padding. While a mesh is open,
   * and where clients move (`NodeDataPlaneOptions.clientsMove`), Send indications of a client that owns nothing here come as
   * well.
   *
   * `via` is the relay that it came by, where it came over the mesh: it is not to be forwarded again. All that is sent to
   * the client goes back by that relay, until the client is heard directly or by another.
   */
  | {
      readonly type: "client-input";
      readonly client: ClientTuple;
      readonly bytes: Uint8Array;
      readonly via?: MeshPeerId | undefined;
    }
  | MeshControlEvent
  /** A datagram from a peer that the table could not answer, where the implementation hands such up. */
  | {
      readonly type: "peer-input";
      readonly relay: RelayId;
      readonly from: TransportAddress;
      readonly bytes: Uint8Array;
    }
  /** Where the implementation learns of ICMP errors; `createNodeDataPlane` does not. */
  | { readonly type: "peer-error"; readonly relay: RelayId; readonly peer: TransportAddress; readonly icmp: IcmpError }
  /** The answer to a `bind` command. */
  | { readonly type: "bound"; readonly relay: RelayId; readonly result: BindResult }
  /** The stream of a client ended, by either side. Comes once, and only for a client that "client-input" came from. */
  | { readonly type: "client-closed"; readonly client: ClientTuple };

/** Time source of a data plane: the same clock that the control loop passes to the TURN server. */
export type Clock = () => Millis;

export interface RelayCounters {
  readonly packetsToPeers: number;
  readonly bytesToPeers: number;
  readonly packetsToClient: number;
  readonly bytesToClient: number;
  readonly dropped: number;
}

/** Why the data plane dropped something. Each is a counter. */
export const DROP_REASONS = [
  /** Neither STUN nor ChannelData, cut short, or more than fits into a Data indication. */
  "malformed",
  /** For a client whose stream is gone, or whose listener is not open. */
  "unknown-client",
  /** A Send indication or a peer's datagram without an allocation. */
  "no-allocation",
  /** The peer has no permission, or not for this port. */
  "no-permission",
  /** ChannelData on a listener that only serves STUN. */
  "no-channel",
  /** The entry was there, but past its deadline. */
  "expired",
  "rate-limited",
  /** Too much waits for the client, or for the socket, already. A stream that was closed for it counts once. */
  "back-pressure",
  /** The kernel refused to send. The packet is among those relayed as well: it was, up to there. */
  "send-failed",
  /** For a relay whose lease is past its deadline, or not there yet. */
  "fenced",
  /** On the mesh's port: not of this version, cut short, or not sealed by the relay and with the secrets that it says. */
  "mesh-auth",
  /** A datagram of the mesh that was taken before, or is too old to tell. */
  "mesh-replay",
  /** Of a relay that is not registered, or for one. */
  "mesh-unknown",
  /** Authentic, but about a frontend, relay or client that it may not name, or for what came over the mesh already. */
  "mesh-refused",
  /** A request that waits to be handed up already, as the client sent it before. */
  "repeated",
  /** A stream closed for what it sent, a failed TLS handshake included. */
  "stream-framing",
  /** A stream closed for what it did not send in time. */
  "stream-idle",
  /** A stream refused for there being too many. */
  "stream-limit",
] as const;
export type DropReason = (typeof DROP_REASONS)[number];

export interface DataPlaneCounters {
  /** Application payload relayed, framing not counted. */
  readonly packetsToPeers: number;
  readonly bytesToPeers: number;
  readonly packetsToClients: number;
  readonly bytesToClients: number;
  /** Messages handed up as "client-input". */
  readonly slowPath: number;
  /** Binding requests that the data plane has answered by itself, where it does. */
  readonly bindings: number;
  readonly dropped: Readonly<Record<DropReason, number>>;
  /** Relay sockets that are open. */
  readonly relays: number;
  /** Streams of clients that are open, TLS handshakes included. */
  readonly streams: number;
  /** All zero where no mesh is open. */
  readonly mesh: MeshCounters;
}

/** A listener could not be opened. `message` is one line that names the address and the cause. */
export class ListenError extends Error {
  override readonly name: string = "ListenError";
}
