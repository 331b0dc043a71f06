import type { TransportAddress } from "@culvert/stun";
import type { ClientTuple, DataPlaneCommand, ListenerId, Millis, PortRange, Revoke, Upsert } from "@culvert/turn";

/** Names a relay that this one exchanges packets with over the mesh. Chosen by the control loop, never used again. */
export type MeshPeerId = number;

export interface MeshSpec {
  /**
   * One address of this host, which the other relays send to. Not a wildcard: the address is also the one that peers of
   * clients are kept from.
   */
  readonly local: TransportAddress;
  /** 32 hexadecimal digits, drawn anew by each process from a CSPRNG. Never opened twice with the same ones. */
  readonly instance: string;
  /** Each of 32 bytes or more. The first seals, any of them opens. */
  readonly secrets: readonly Uint8Array[];
  /**
   * The client-facing address space of each listener that takes part, by name. Listeners of several relays that have one
   * transport and one frontend serve the same clients. On one relay no two listeners of one transport and address family
   * may have the same frontend.
   */
  readonly frontends: ReadonlyMap<ListenerId, string>;
  /**
   * Relayed IP addresses (local ones) for which datagrams of peers may arrive at other relays too: peer packets of the mesh
   * are taken for these only, and "foreign-ports" entries may name these only. Default: none.
   */
  readonly sharedIps?: readonly string[] | undefined;
  /** Clients whose messages go to other relays, or that these may still answer; the oldest are forgotten. Default 65,536. */
  readonly maxForeignClients?: number | undefined;
  /** Clients that are heard by way of other relays and own nothing here; likewise. Default 16,384. */
  readonly maxPaths?: number | undefined;
}

export interface OpenMesh {
  readonly local: TransportAddress;
  /**
   * Whether datagrams of peers that arrive here for "foreign-ports" are forwarded. `reason` is one line for the operator;
   * "no shared IPs" when `sharedIps` is empty.
   */
  readonly peerSide: { readonly ok: true } | { readonly ok: false; readonly reason: string };
}

/** A relay that is to be heard and can be sent to. Registering the same peer again changes its address. */
export interface MeshPeerCommand {
  readonly type: "mesh-peer";
  readonly peer: MeshPeerId;
  /** As its `MeshSpec.instance`. Another peer with the same instance is gone with this. The own one is never heard. */
  readonly instance: string;
  readonly address: TransportAddress;
}

/** The relay is not heard any more, and what goes by it goes nowhere: entries for it are void. */
export interface MeshPeerGone {
  readonly type: "mesh-peer-gone";
  readonly peer: MeshPeerId;
}

/** Bytes for the control loop of another relay, which gets them as "mesh-control". At most 60,000. Best effort. */
export interface MeshSend {
  readonly type: "mesh-send";
  readonly peer: MeshPeerId;
  readonly bytes: Uint8Array;
}

/**
 * Forwards one message of a client to the relay that owns it: one that waited for the look-up. The peer may answer the
 * client from now on. Void for a client that itself is heard by way of the mesh ("mesh-refused"): nothing is forwarded
 * twice.
 */
export interface Forward {
  readonly type: "forward";
  readonly peer: MeshPeerId;
  readonly client: ClientTuple;
  readonly bytes: Uint8Array;
}

/**
 * A client of this listener that another relay owns: all it sends of STUN's or ChannelData's shape goes there, but Binding
 * requests. What it owns here comes first. Past the deadline its messages go up again; the peer may answer the client for
 * an hour more (`MESH_REPLY_MS`), the longest that a client may be silent.
 */
export interface ForeignClientEntry {
  readonly kind: "foreign";
  readonly client: ClientTuple;
  readonly peer: MeshPeerId;
  readonly deadline: Millis;
}

/**
 * Ports of a shared relayed IP that another relay serves: datagrams that arrive here for them go there. Not for ports that
 * are served on this host by whichever process: it would not hear them any more. Only where `OpenMesh.peerSide` is ok.
 */
export interface ForeignPortsEntry {
  readonly kind: "foreign-ports";
  readonly ip: string;
  readonly ports: PortRange;
  readonly peer: MeshPeerId;
  readonly deadline: Millis;
}

/** Insert an entry, or replace the one with the same key. */
export interface UpsertForeign {
  readonly type: "upsert";
  readonly entry: ForeignClientEntry | ForeignPortsEntry;
}

/** Remove an entry. After that its peer may not answer the client any more. */
export interface RevokeForeign {
  readonly type: "revoke";
  readonly key:
    | { readonly kind: "foreign"; readonly client: ClientTuple }
    | { readonly kind: "foreign-ports"; readonly ip: string; readonly ports: PortRange };
}

/** Whether a command about table entries is one about what other relays own. */
export function isForeign<T extends Upsert | Revoke | UpsertForeign | RevokeForeign>(
  command: T,
): command is Extract<T, UpsertForeign | RevokeForeign> {
  const { kind } = command.type === "upsert" ? command.entry : command.key;
  return kind === "foreign" || kind === "foreign-ports";
}

export type MeshCommand = MeshPeerCommand | MeshPeerGone | MeshSend | Forward | UpsertForeign | RevokeForeign;

/** All that a data plane carries out. What is of the mesh does nothing while none is open. */
export type PlaneCommand = DataPlaneCommand | MeshCommand;

/** What another relay's control loop has sent. `bytes` belong to the receiver. */
export interface MeshControlEvent {
  readonly type: "mesh-control";
  readonly peer: MeshPeerId;
  readonly bytes: Uint8Array;
}

/** How long a peer may answer a client after the client's packets were last meant for it, in ms. */
export const MESH_REPLY_MS = 3_600_000;
/** The most that one mesh datagram carries: of a control message, or of a message of a client. */
export const MAX_MESH_PAYLOAD = 65_000;

export interface MeshCounters {
  /** Datagrams and their bytes, of all kinds. What was dropped is counted by reason only. */
  readonly packetsSent: number;
  readonly bytesSent: number;
  readonly packetsReceived: number;
  readonly bytesReceived: number;
  /** Relays that are registered. */
  readonly peers: number;
  /** Clients that other relays own, or may still answer. */
  readonly foreignClients: number;
}
