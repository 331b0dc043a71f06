import type { TransportAddress } from "@culvert/stun";
import type { BindResult, ClientTuple, DataPlaneCommand, IcmpError, ListenerId, Millis, RelayId } from "@culvert/turn";

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

  /** Replaces the certificate of a TLS listener; established sessions go on. */
  setCertificate(listener: ListenerId, certificate: Certificate): void;

  /** Carries out commands in their order. Never throws for what the network did; that is counted. */
  apply(commands: readonly DataPlaneCommand[]): void;

  /** Sets the one consumer of events. Events that come before it is set are lost. */
  onEvents(sink: (events: readonly DataPlaneEvent[]) => void): void;

  /** Totals since the start. */
  counters(): DataPlaneCounters;

  /** Totals of one relay since it was bound; undefined when it is not open. */
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
  /** Port 0 takes a free one; see `BoundListener.local`. */
  readonly local: TransportAddress;
  /** For "tls": TLS 1.2 and 1.3 are spoken. */
  readonly certificate?: Certificate;
  /**
   * "turn" passes ChannelData and STUN and relays what the table allows. "stun" hands every STUN message up and drops
   * the rest.
   */
  readonly mode?: "turn" | "stun";
}

export interface BoundListener {
  readonly id: ListenerId;
  readonly local: TransportAddress;
}

export type DataPlaneEvent =
  /** A STUN message or ChannelData from a client that the table could not answer. `bytes` belong to the receiver. */
  | { readonly type: "client-input"; readonly client: ClientTuple; readonly bytes: Uint8Array }
  /** A datagram from a peer that the table could not answer, where the implementation hands such up. */
  | {
      readonly type: "peer-input";
      readonly relay: RelayId;
      readonly from: TransportAddress;
      readonly bytes: Uint8Array;
    }
  | { readonly type: "peer-error"; readonly relay: RelayId; readonly peer: TransportAddress; readonly icmp: IcmpError }
  /** The answer to a `bind` command. */
  | { readonly type: "bound"; readonly relay: RelayId; readonly result: BindResult }
  /** The stream of a client ended, by either side. */
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
  "malformed",
  "unknown-client",
  "no-allocation",
  "no-permission",
  "no-channel",
  "expired",
  "rate-limited",
  "back-pressure",
  "send-failed",
  "stream-framing",
  "stream-idle",
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
  readonly dropped: Readonly<Record<DropReason, number>>;
  readonly relays: number;
  readonly streams: number;
}

/** A listener could not be opened. `message` is one line that names the address and the cause. */
export class ListenError extends Error {
  override readonly name: string = "ListenError";
}
