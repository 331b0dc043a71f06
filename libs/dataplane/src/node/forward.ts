import { beginsAsChannelData, CHANNEL_HEADER_LENGTH, type RelayedData, readSendIndication } from "@culvert/stun";
import type { ClientAddress, ClientTuple, LeaseId, ListenerId, Millis, PeerAddress } from "@culvert/turn";
import type { Clock, DropReason } from "../port.ts";
import type { Client } from "./client.ts";
import type { MeshPeer } from "./mesh-link.ts";
import { channelData, dataIndication, isSendIndication, isStun, stunOnly } from "./messages.ts";
import { type Permission, permits, type Relay } from "./relay.ts";
import type { Tally } from "./tally.ts";

/** The way back to the clients of a listener. */
export interface ClientSide {
  /** On a stream, where ChannelData is padded. */
  readonly stream: boolean;
  /** Data from a peer: dropped rather than queued without bound. */
  relay(to: ClientAddress, bytes: Uint8Array): DropReason | undefined;
}

/** The way to clients that are behind other relays. */
export interface MeshSide {
  readonly isOpen: boolean;
  /** Whether it is an address of the mesh, which no peer is at. */
  bars(ip: string, port: number): boolean;
  reply(to: MeshPeer, client: ClientTuple, bytes: Uint8Array): DropReason | undefined;
}

/** What became of a client's message: dropped as none, answered here (relayed or dropped), or something for the control loop. */
export type Verdict = "malformed" | "done" | "up";

export interface ForwarderOptions {
  readonly clock: Clock;
  readonly tally: Tally;
  readonly listeners: ReadonlyMap<ListenerId, ClientSide>;
  readonly leases: ReadonlyMap<LeaseId, Millis>;
  readonly clientsMove: boolean;
}

/** What the table answers by itself: data between clients and peers, both ways. */
export class Forwarder {
  readonly #clock: Clock;
  readonly #tally: Tally;
  readonly #listeners: ReadonlyMap<ListenerId, ClientSide>;
  readonly #leases: ReadonlyMap<LeaseId, Millis>;
  readonly #clientsMove: boolean;
  readonly #mesh: MeshSide;

  constructor({ clock, tally, listeners, leases, clientsMove }: ForwarderOptions, mesh: MeshSide) {
    this.#clock = clock;
    this.#tally = tally;
    this.#listeners = listeners;
    this.#leases = leases;
    this.#clientsMove = clientsMove;
    this.#mesh = mesh;
  }

  /** One datagram, or one frame of a stream, from a client that may own no relay. */
  fromClient(bytes: Buffer, client: Client | undefined): Verdict {
    if (beginsAsChannelData(bytes)) return this.#channelData(bytes, client);
    if (!isStun(bytes)) {
      this.#tally.drop("malformed");
      return "malformed";
    }
    // Another relay may own the client, or it may come from another address than before.
    if (client === undefined && (this.#mesh.isOpen || this.#clientsMove)) return "up";
    const indication = isSendIndication(bytes) ? readSendIndication(bytes) : undefined;
    if (indication === undefined) return "up";
    this.#sendIndication(indication, client);
    return "done";
  }

  /** For a listener that only serves STUN. */
  stunOnly(bytes: Buffer): Verdict {
    const reason = stunOnly(bytes);
    if (reason === undefined) return "up";
    this.#tally.drop(reason);
    return "done";
  }

  fromPeer(relay: Relay, bytes: Buffer, wireIp: string, port: number): void {
    const reason = port === 0 ? "malformed" : this.#toClient(relay, bytes, wireIp, port, this.#clock());
    if (reason === undefined) this.#tally.toClient(bytes.length, relay.tally);
    else this.#tally.drop(reason, relay.tally);
  }

  /** What the control loop sends in the client's name obeys the table as well. */
  toPeer(relay: Relay, peer: PeerAddress, bytes: Uint8Array): void {
    const permission = relay.permissions.get(peer.ip);
    this.#relayToPeer(relay, permission, permission?.wireIp ?? peer.ip, peer.port, bytes, this.#clock());
  }

  #channelData(bytes: Buffer, client: Client | undefined): Verdict {
    const length = bytes.length < CHANNEL_HEADER_LENGTH ? Number.POSITIVE_INFINITY : bytes.readUInt16BE(2);
    const end = CHANNEL_HEADER_LENGTH + length;
    if (end > bytes.length) {
      this.#tally.drop("malformed");
      return "malformed";
    }
    const channel = client?.channels.get(bytes.readUInt16BE(0));
    if (channel === undefined) return "up";
    const { relay, wireIp, port } = channel;
    const now = this.#clock();
    if (channel.deadline <= now) {
      this.#tally.drop("expired", relay.tally);
      return "done";
    }
    const permission = relay.permissions.get(channel.ip);
    this.#relayToPeer(relay, permission, wireIp, port, bytes.subarray(CHANNEL_HEADER_LENGTH, end), now);
    return "done";
  }

  #sendIndication({ peer: { ip, port }, data }: RelayedData, client: Client | undefined): void {
    const relay = ip.includes(":") ? client?.relay6 : client?.relay4;
    if (relay === undefined) {
      this.#tally.drop("no-allocation");
      return;
    }
    const permission = relay.permissions.get(ip);
    this.#relayToPeer(relay, permission, permission?.wireIp ?? ip, port, data, this.#clock());
  }

  #relayToPeer(
    relay: Relay,
    permission: Permission | undefined,
    wireIp: string,
    port: number,
    data: Uint8Array,
    now: Millis,
  ): void {
    const refusal = this.#refusal(relay, permission, port, now);
    const reason = refusal ?? this.#sendToPeer(relay, wireIp, port, data, now);
    if (reason === undefined) this.#tally.toPeer(data.length, relay.tally);
    else this.#tally.drop(reason, relay.tally);
  }

  #sendToPeer(relay: Relay, wireIp: string, port: number, data: Uint8Array, now: Millis): DropReason | undefined {
    if (this.#mesh.bars(wireIp, port)) return "no-permission";
    if (relay.bucketToPeers?.take(data.length, now) === false) return "rate-limited";
    return relay.socket.send(data, wireIp, port);
  }

  #refusal(relay: Relay, permission: Permission | undefined, port: number, now: Millis): DropReason | undefined {
    if (relay.client === undefined) return "no-allocation";
    if (relay.lease !== undefined && (this.#leases.get(relay.lease) ?? 0) <= now) return "fenced";
    if (relay.deadline <= now) return "expired";
    if (permission === undefined) return "no-permission";
    if (permission.deadline <= now) return "expired";
    return permits(permission, port) ? undefined : "no-permission";
  }

  #toClient(relay: Relay, bytes: Buffer, wireIp: string, port: number, now: Millis): DropReason | undefined {
    const channel = relay.channelFrom(wireIp, port);
    const permission =
      channel === undefined ? relay.permissionFrom(wireIp, port, now) : relay.permissions.get(channel.ip);
    const refusal = this.#refusal(relay, permission, port, now);
    if (refusal !== undefined) return refusal;
    const { client } = relay;
    if (client === undefined || permission === undefined) return "no-allocation";
    if (relay.bucketToClient?.take(bytes.length, now) === false) return "rate-limited";

    const side = this.#listeners.get(client.tuple.listener);
    if (side === undefined) return "unknown-client";
    const message =
      channel !== undefined && channel.deadline > now
        ? channelData(channel.number, bytes, side.stream)
        : dataIndication(permission.ip, port, bytes);
    if (message === undefined) return "malformed";
    const { via } = client;
    return via === undefined || via.gone
      ? side.relay(client.tuple.remote, message)
      : this.#mesh.reply(via, client.tuple, message);
  }
}
