import { beginsAsChannelData, canonicalIp, familyOf, type TransportAddress } from "@culvert/stun";
import type { ClientTuple, ListenerId } from "@culvert/turn";
import type { DataPlaneLimits } from "../limits.ts";
import { CONTROL_HEAD, clientHead, type MeshFrame, readFrame } from "../mesh/frame.ts";
import { frontendId, parseInstance } from "../mesh/keys.ts";
import type { CheckedMesh } from "../mesh/spec.ts";
import type { Forward, MeshCommand, MeshCounters, MeshPeerCommand, OpenMesh } from "../mesh-port.ts";
import { type Clock, type DropReason, ListenError, type ListenerSpec } from "../port.ts";
import type { Client } from "./client.ts";
import type { EventQueue } from "./event-queue.ts";
import type { MeshSide } from "./forward.ts";
import type { Listener } from "./listener.ts";
import { ForeignClients, type Paths } from "./mesh-clients.ts";
import { MeshLink, type MeshPeer } from "./mesh-link.ts";
import { isBindingRequest, isDataIndication } from "./messages.ts";
import type { Table } from "./table.ts";
import type { Tally } from "./tally.ts";

export interface NodeMeshOptions {
  readonly clock: Clock;
  readonly limits: DataPlaneLimits;
  readonly tally: Tally;
  readonly events: EventQueue;
  readonly table: Table;
  readonly paths: Paths;
  readonly listeners: ReadonlyMap<ListenerId, Listener>;
  /** Takes a message of a client as if its listener had received it. */
  readonly fromClient: (client: ClientTuple, bytes: Buffer, via: MeshPeer) => void;
  /** Takes a datagram of a peer as if the relay's socket had received it. */
  readonly fromPeer: (relayed: TransportAddress, peer: TransportAddress, bytes: Buffer) => void;
}

const PEER_SIDE =
  "the portable data plane does not take datagrams of peers for other relays: relay.dataPlane.kind native does";

/** What a data plane does as a member of a mesh. There from the start, and idle until it is opened. */
export class NodeMesh implements MeshSide {
  readonly #options: NodeMeshOptions;
  readonly #foreign: ForeignClients = new ForeignClients();
  #link: MeshLink | undefined;
  readonly #frontends: Map<ListenerId, number> = new Map();
  readonly #byFrontend: Map<number, ListenerId> = new Map();
  #sharedIps: readonly string[] = [];

  constructor(options: NodeMeshOptions) {
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#link !== undefined;
  }

  /** Rejects with the system's error. */
  async open(local: TransportAddress, checked: CheckedMesh): Promise<OpenMesh> {
    const { limits, tally, paths } = this.#options;
    const { instance, secrets, frontends, sharedIps, maxForeignClients, maxPaths } = checked;
    const onFrame = (from: MeshPeer, frame: Buffer): void => this.#take(from, frame);
    const link = await MeshLink.open({ local, instance, secrets, limits, tally, onFrame });
    this.#link = link;
    for (const [listener, frontend] of frontends) this.#add(listener, frontend);
    this.#sharedIps = sharedIps;
    this.#foreign.limit = maxForeignClients;
    paths.limit = maxPaths;
    return { local: link.local, peerSide: { ok: false, reason: sharedIps.length === 0 ? "no shared IPs" : PEER_SIDE } };
  }

  /** A listener that is opened later takes part, too. False when another one has its frontend; true without a mesh. */
  join({ id, transport, local }: ListenerSpec, name: string): boolean {
    if (this.#link === undefined) return true;
    const frontend = frontendId(transport, familyOf(local.ip), name);
    if (this.#byFrontend.has(frontend)) return false;
    this.#add(id, frontend);
    return true;
  }

  setSecrets(secrets: readonly Uint8Array[]): void {
    if (this.#link === undefined) throw new ListenError("no mesh is open");
    this.#link.setSecrets(secrets);
  }

  counters(): MeshCounters {
    const { meshPacketsSent, meshBytesSent, meshPacketsReceived, meshBytesReceived } = this.#options.tally;
    return {
      packetsSent: meshPacketsSent,
      bytesSent: meshBytesSent,
      packetsReceived: meshPacketsReceived,
      bytesReceived: meshBytesReceived,
      peers: this.#link?.size ?? 0,
      foreignClients: this.#foreign.size,
    };
  }

  async close(): Promise<void> {
    await this.#link?.close();
  }

  carryOut(command: MeshCommand): void {
    if (this.#link === undefined) return;
    switch (command.type) {
      case "mesh-peer":
        this.#register(command, this.#link);
        break;
      case "mesh-peer-gone":
        this.#link.forget(command.peer);
        break;
      case "mesh-send":
        this.#count(this.#send(command.peer, CONTROL_HEAD, command.bytes));
        break;
      case "forward":
        this.#count(this.#forward(command));
        break;
      case "upsert": {
        const { entry } = command;
        const peer = this.#link.peer(entry.peer);
        if (entry.kind === "foreign" && peer !== undefined && this.#frontends.has(entry.client.listener)) {
          this.#foreign.set(entry.client, peer, entry.deadline);
        }
        break;
      }
      case "revoke":
        if (command.key.kind === "foreign") this.#foreign.delete(command.key.client);
        break;
    }
  }

  bars(ip: string, port: number): boolean {
    return this.#link?.isAddress(ip, port) === true;
  }

  reply(to: MeshPeer, client: ClientTuple, bytes: Uint8Array): DropReason | undefined {
    const frontend = this.#frontends.get(client.listener);
    if (frontend === undefined || this.#link === undefined) return "unknown-client";
    return this.#link.send(to, clientHead("client-reply", frontend, client.remote), bytes);
  }

  /** A client was heard: directly, or by way of `via`. `owner` is the client if it owns a relay here. */
  heard(client: ClientTuple, owner: Client | undefined, via: MeshPeer | undefined, handedUp: boolean): void {
    const { paths, clock } = this.#options;
    if (via === undefined) {
      if (owner?.via !== undefined) owner.via = undefined;
      paths.delete(client);
      return;
    }
    if (owner !== undefined) owner.via = via;
    if (handedUp) paths.set(client, via, clock());
  }

  /** By way of which relay the client is reached; undefined: directly. */
  pathOf(client: ClientTuple): MeshPeer | undefined {
    const { table, paths, clock } = this.#options;
    const owner = table.client(client);
    if (owner === undefined) return paths.get(client, clock());
    return owner.via?.gone === false ? owner.via : undefined;
  }

  /** A message of a client that owns nothing here: true when it went to the relay that owns the client. */
  forwardForeign(client: ClientTuple, bytes: Buffer): boolean {
    if (this.#link === undefined || this.#foreign.size === 0 || isBindingRequest(bytes)) return false;
    const owner = this.#foreign.ownerOf(client, this.#options.clock());
    const frontend = this.#frontends.get(client.listener);
    if (owner === undefined || frontend === undefined) return false;
    this.#count(this.#link.send(owner, clientHead("client-packet", frontend, client.remote), bytes));
    return true;
  }

  #add(listener: ListenerId, frontend: number): void {
    this.#frontends.set(listener, frontend);
    this.#byFrontend.set(frontend, listener);
  }

  #register({ peer, instance, address }: MeshPeerCommand, link: MeshLink): void {
    const [parsed, ip] = [parseInstance(instance), canonicalIp(address.ip)];
    if (parsed !== undefined && ip !== undefined) link.register(peer, parsed, { ip, port: address.port });
  }

  #forward({ peer: id, client, bytes }: Forward): DropReason | undefined {
    const frontend = this.#frontends.get(client.listener);
    // What came over the mesh is not sent over it again.
    if (frontend === undefined || this.pathOf(client) !== undefined) return "mesh-refused";
    const peer = this.#link?.peer(id);
    if (peer !== undefined) this.#foreign.forwarded(client, peer, this.#options.clock());
    return this.#send(id, clientHead("client-packet", frontend, client.remote), bytes);
  }

  #send(id: number, head: Uint8Array, bytes: Uint8Array): DropReason | undefined {
    const peer = this.#link?.peer(id);
    return peer === undefined ? "mesh-unknown" : this.#link?.send(peer, head, bytes);
  }

  #take(from: MeshPeer, bytes: Buffer): void {
    const frame = readFrame(bytes);
    this.#count(frame === undefined ? "mesh-refused" : this.#carryIn(from, frame));
  }

  #carryIn(from: MeshPeer, frame: MeshFrame): DropReason | undefined {
    switch (frame.kind) {
      case "control":
        this.#options.events.push({ type: "mesh-control", peer: from.id, bytes: frame.bytes });
        return undefined;
      case "peer-packet":
        if (!this.#sharedIps.includes(frame.relayed.ip)) return "mesh-refused";
        this.#options.fromPeer(frame.relayed, frame.peer, frame.bytes);
        return undefined;
      case "client-packet":
        return this.#clientPacket(from, frame.frontend, frame.client, frame.bytes);
      case "client-reply":
        return this.#clientReply(from, frame.frontend, frame.client, frame.bytes);
    }
  }

  #clientPacket(from: MeshPeer, frontend: number, remote: TransportAddress, bytes: Buffer): DropReason | undefined {
    const client = this.#clientOf(frontend, remote);
    // One whose connection ends here is heard here.
    if (client === undefined || this.#options.listeners.get(client.listener)?.serves(remote) === true) {
      return "mesh-refused";
    }
    this.#options.fromClient(client, bytes, from);
    return undefined;
  }

  #clientReply(from: MeshPeer, frontend: number, remote: TransportAddress, bytes: Buffer): DropReason | undefined {
    const client = this.#clientOf(frontend, remote);
    if (client === undefined || !this.#foreign.mayReply(client, from, this.#options.clock())) return "mesh-refused";
    const listener = this.#options.listeners.get(client.listener);
    if (listener === undefined) return "unknown-client";
    const isData = beginsAsChannelData(bytes) || isDataIndication(bytes);
    return isData ? listener.relay(remote, bytes) : listener.send(remote, bytes);
  }

  /** A client of an own listener, as a frame names it. */
  #clientOf(frontend: number, remote: TransportAddress): ClientTuple | undefined {
    const id = this.#byFrontend.get(frontend);
    const listener = id === undefined ? undefined : this.#options.listeners.get(id);
    if (id === undefined || listener === undefined || remote.port === 0) return undefined;
    return familyOf(listener.local.ip) === familyOf(remote.ip) ? { listener: id, remote } : undefined;
  }

  #count(reason: DropReason | undefined): void {
    if (reason !== undefined) this.#options.tally.drop(reason);
  }
}
