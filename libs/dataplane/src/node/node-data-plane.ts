import { parseIp, type TransportAddress } from "@culvert/stun";
import type {
  Bind,
  BindResult,
  ClientTuple,
  ListenerId,
  RelayId,
  SendToClient,
  SendToPeer,
  Unbind,
} from "@culvert/turn";
import { type DataPlaneLimits, DEFAULT_LIMITS } from "../limits.ts";
import { checkMesh, checkSecrets, meshError } from "../mesh/spec.ts";
import { isForeign, type MeshSpec, type OpenMesh, type PlaneCommand } from "../mesh-port.ts";
import {
  type BoundListener,
  type Certificate,
  type Clock,
  type DataPlane,
  type DataPlaneCounters,
  type DataPlaneEvent,
  type DropReason,
  ListenError,
  type ListenerSpec,
  type RelayCounters,
} from "../port.ts";
import { Admission } from "./admission.ts";
import { bindFailure } from "./bind-failure.ts";
import { EventQueue } from "./event-queue.ts";
import { Forwarder } from "./forward.ts";
import { causeOf, errnoOf, fromErrno, listenError } from "./listen-error.ts";
import type { Listener, ListenerContext } from "./listener.ts";
import { Paths } from "./mesh-clients.ts";
import type { MeshPeer } from "./mesh-link.ts";
import { NodeMesh } from "./node-mesh.ts";
import { Relay } from "./relay.ts";
import { StreamListener } from "./stream-listener.ts";
import { Table } from "./table.ts";
import { Tally } from "./tally.ts";
import { UdpListener } from "./udp-listener.ts";
import { UdpSocket } from "./udp-socket.ts";

export interface NodeDataPlaneOptions extends Partial<DataPlaneLimits> {
  readonly clock: Clock;
  /**
   * Whether clients may come from another address than the one that owns what is theirs (RFC 8016): Send indications of
   * clients that own nothing are handed up then, as ChannelData always is. Default false.
   */
  readonly clientsMove?: boolean;
}

/**
 * The data plane on Node's own sockets.
 *
 * What Node does not offer: the error queue of a socket, so there is no "peer-error" event; and the DF bit, which is left
 * to the kernel (Linux sets it by its path MTU discovery).
 */
export function createNodeDataPlane(options: NodeDataPlaneOptions): DataPlane {
  return new NodeDataPlane(options);
}

class NodeDataPlane implements DataPlane {
  readonly #clock: Clock;
  readonly #limits: DataPlaneLimits;
  readonly #tally: Tally = new Tally();
  readonly #events: EventQueue = new EventQueue();
  readonly #table: Table;
  readonly #listeners: Map<ListenerId, Listener> = new Map();
  readonly #specs: Map<ListenerId, ListenerSpec> = new Map();
  /** Of those that are open or about to be. */
  readonly #listenerIds: Set<ListenerId> = new Set();
  /** Relays whose socket is not bound yet. Their table entries wait with them. */
  readonly #binding: Set<Relay> = new Set();
  readonly #forwarder: Forwarder;
  readonly #mesh: NodeMesh;
  #meshOpened = false;
  readonly #admission: Admission;
  #closed: Promise<void> | undefined;

  constructor({ clock, clientsMove = false, ...limits }: NodeDataPlaneOptions) {
    this.#clock = clock;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
    this.#admission = new Admission(this.#limits.maxStreams, this.#limits.maxStreamsPerSource);
    const paths = new Paths();
    this.#table = new Table(paths);
    const parts = { clock, tally: this.#tally, listeners: this.#listeners, table: this.#table };
    this.#mesh = new NodeMesh({
      ...parts,
      limits: this.#limits,
      events: this.#events,
      paths,
      fromClient: (client, bytes, via) => void this.#takeMessage(client, bytes, via),
      fromPeer: (relayed, peer, bytes) => this.#fromPeer(relayed, peer, bytes),
    });
    this.#forwarder = new Forwarder({ ...parts, leases: this.#table.leases, clientsMove }, this.#mesh);
  }

  async listen(spec: ListenerSpec): Promise<BoundListener> {
    if (parseIp(spec.local.ip) === undefined) throw listenError(spec, "not an IP address");
    if (this.#closed !== undefined) throw listenError(spec, "the data plane is closed");
    if (this.#listenerIds.has(spec.id)) throw listenError(spec, `listener ${spec.id} is open already`);
    this.#listenerIds.add(spec.id);
    const listener = await this.#open(spec).catch((error: unknown) => {
      this.#listenerIds.delete(spec.id);
      throw error instanceof ListenError ? error : fromErrno(spec, error);
    });
    if (this.#closed !== undefined) {
      await listener.close();
      throw listenError(spec, "the data plane is closed");
    }
    if (spec.frontend !== undefined && !this.#mesh.join(spec, spec.frontend)) {
      this.#listenerIds.delete(spec.id);
      await listener.close();
      throw listenError(spec, `another listener has frontend ${JSON.stringify(spec.frontend)}`);
    }
    this.#listeners.set(spec.id, listener);
    this.#specs.set(spec.id, { ...spec, local: listener.local });
    return { id: spec.id, local: listener.local };
  }

  setCertificate(listener: ListenerId, certificate: Certificate): void {
    const open = this.#listeners.get(listener);
    if (open === undefined) throw new ListenError(`listener ${listener} is not open`);
    open.setCertificate(certificate);
  }

  async openMesh(spec: MeshSpec): Promise<OpenMesh> {
    if (this.#closed !== undefined) throw meshError(spec, "the data plane is closed");
    if (this.#meshOpened) throw meshError(spec, "a mesh is open already");
    const checked = checkMesh(spec, (id) => this.#specs.get(id));
    this.#meshOpened = true;
    const opened = await this.#mesh.open(spec.local, checked).catch((error: unknown) => {
      this.#meshOpened = false;
      throw meshError(spec, causeOf(error), error);
    });
    if (this.#closed !== undefined) {
      await this.#mesh.close();
      throw meshError(spec, "the data plane is closed");
    }
    return opened;
  }

  setMeshSecrets(secrets: readonly Uint8Array[]): void {
    this.#mesh.setSecrets(checkSecrets(secrets));
  }

  apply(commands: readonly PlaneCommand[]): void {
    if (this.#closed !== undefined) return;
    for (const command of commands) this.#carryOut(command);
  }

  onEvents(sink: (events: readonly DataPlaneEvent[]) => void): void {
    this.#events.setSink(sink);
  }

  counters(): DataPlaneCounters {
    const { packetsToPeers, bytesToPeers, packetsToClients, bytesToClients, slowPath, dropped } = this.#tally;
    return {
      packetsToPeers,
      bytesToPeers,
      packetsToClients,
      bytesToClients,
      slowPath,
      bindings: 0,
      dropped: { ...dropped },
      relays: this.#table.relays.size - this.#binding.size,
      streams: this.#admission.open,
      mesh: this.#mesh.counters(),
    };
  }

  relayCounters(relay: RelayId): RelayCounters | undefined {
    const open = this.#table.relays.get(relay);
    return open?.socket.open ? { ...open.tally } : undefined;
  }

  close(): Promise<void> {
    this.#closed ??= this.#closeAll();
    return this.#closed;
  }

  async #closeAll(): Promise<void> {
    this.#events.close();
    const listeners = [...this.#listeners.values()];
    const relays = [...this.#table.relays.values()];
    for (const relay of relays) this.#table.remove(relay);
    this.#listeners.clear();
    const sockets = relays.map((relay) => relay.socket.close());
    await Promise.all([this.#mesh.close(), ...listeners.map((one) => one.close()), ...sockets]);
  }

  async #open(spec: ListenerSpec): Promise<Listener> {
    const listener = spec.id;
    const clients = this.#table.clientsOf(listener);
    const take = (bytes: Buffer, ip: string, port: number): boolean =>
      this.#takeMessage({ listener, remote: { ip, port } }, bytes, undefined, spec.mode);
    const context: ListenerContext = { spec, limits: this.#limits, tally: this.#tally, take };
    if (spec.transport === "udp") return UdpListener.open(context);
    return StreamListener.open({
      ...context,
      admission: this.#admission,
      ownsRelay: ({ ip, port }) => clients.get(ip, port) !== undefined,
      forgetClient: (remote) => this.#table.forgetClient({ listener, remote }),
      announceClosed: (remote) => this.#events.push({ type: "client-closed", client: { listener, remote } }),
    });
  }

  /** True when it was handed up. */
  #takeMessage(tuple: ClientTuple, bytes: Buffer, via?: MeshPeer, mode?: ListenerSpec["mode"]): boolean {
    const owner = this.#table.client(tuple);
    const verdict = mode === "stun" ? this.#forwarder.stunOnly(bytes) : this.#forwarder.fromClient(bytes, owner);
    if (verdict === "malformed") return false;
    if (this.#mesh.isOpen) {
      this.#mesh.heard(tuple, owner, via, verdict === "up");
      const foreign = verdict === "up" && owner === undefined && via === undefined;
      if (foreign && this.#mesh.forwardForeign(tuple, bytes)) return false;
    }
    if (verdict === "done") return false;
    this.#tally.slowPath += 1;
    const client = owner?.tuple ?? tuple;
    const event = { type: "client-input", client, bytes } as const;
    this.#events.push(via === undefined ? event : { ...event, via: via.id });
    return true;
  }

  /** A datagram of a peer that came over the mesh. */
  #fromPeer(relayed: TransportAddress, { ip, port }: TransportAddress, bytes: Buffer): void {
    const relay = this.#table.relayAt(relayed);
    if (relay === undefined) this.#tally.drop("no-allocation");
    else this.#forwarder.fromPeer(relay, bytes, ip, port);
  }

  #carryOut(command: PlaneCommand): void {
    switch (command.type) {
      case "send":
        if (command.to === "client") this.#sendToClient(command);
        else this.#sendToPeer(command);
        break;
      case "upsert":
        if (isForeign(command)) this.#mesh.carryOut(command);
        else this.#table.upsert(command.entry, this.#clock());
        break;
      case "revoke":
        if (isForeign(command)) this.#mesh.carryOut(command);
        else this.#table.revoke(command.key);
        break;
      case "lease":
        if (command.deadline > 0) this.#table.leases.set(command.lease, command.deadline);
        else this.#table.leases.delete(command.lease);
        break;
      case "bind":
        this.#bind(command);
        break;
      case "unbind":
        this.#unbind(command);
        break;
      case "close":
        this.#listeners.get(command.client.listener)?.closeClient(command.client.remote);
        break;
      default:
        this.#mesh.carryOut(command);
    }
  }

  #sendToClient({ client, bytes }: SendToClient): void {
    const reason = this.#way(client)(bytes);
    if (reason !== undefined) this.#tally.drop(reason);
  }

  /** How a client is reached. */
  #way(client: ClientTuple): (bytes: Uint8Array) => DropReason | undefined {
    const via = this.#mesh.isOpen ? this.#mesh.pathOf(client) : undefined;
    if (via !== undefined) return (bytes) => this.#mesh.reply(via, client, bytes);
    const listener = this.#listeners.get(client.listener);
    return (bytes) => (listener === undefined ? "unknown-client" : listener.send(client.remote, bytes));
  }

  #sendToPeer({ relay: id, peer, bytes }: SendToPeer): void {
    const relay = this.#table.relays.get(id);
    if (relay === undefined) this.#tally.drop("no-allocation");
    else this.#forwarder.toPeer(relay, peer, bytes);
  }

  #bind(command: Bind): void {
    const { relay: id, local } = command;
    const known = this.#table.relays.get(id);
    if (known !== undefined) {
      const same = known.local.ip === local.ip && known.local.port === local.port;
      if (same) known.lease = command.lease;
      if (this.#binding.has(known)) return;
      this.#bound(id, same ? { ok: true } : { ok: false, reason: "in-use" });
      return;
    }
    const socket: UdpSocket = new UdpSocket(
      {
        local,
        recvBufferSize: this.#limits.relayBufferSize,
        sendBufferSize: this.#limits.relayBufferSize,
        queueBytes: this.#limits.datagramQueueBytes,
        onMessage: (bytes, ip, port) => this.#forwarder.fromPeer(relay, bytes, ip, port),
        onSendFailed: () => this.#tally.drop("send-failed", relay.tally),
      },
      (error) => queueMicrotask(() => this.#afterBind(relay, error)),
    );
    const relay = new Relay(command, socket);
    this.#table.relays.set(id, relay);
    this.#binding.add(relay);
  }

  #afterBind(relay: Relay, error: NodeJS.ErrnoException | undefined): void {
    this.#binding.delete(relay);
    if (this.#table.relays.get(relay.id) !== relay) return;
    if (error === undefined) this.#table.opened(relay);
    else this.#table.remove(relay);
    const reason = bindFailure(errnoOf(error));
    this.#bound(relay.id, error === undefined ? { ok: true } : { ok: false, reason });
  }

  #bound(relay: RelayId, result: BindResult): void {
    this.#events.push({ type: "bound", relay, result });
  }

  #unbind({ relay: id }: Unbind): void {
    const relay = this.#table.relays.get(id);
    if (relay === undefined) return;
    this.#table.remove(relay);
    this.#binding.delete(relay);
    void relay.socket.close();
  }
}
