import { formatAddress, parseIp } from "@culvert/stun";
import type { Bind, BindResult, ListenerId, RelayId, SendToClient, SendToPeer, Unbind } from "@culvert/turn";
import { type DataPlaneLimits, DEFAULT_LIMITS } from "../limits.ts";
import type { MeshSpec, OpenMesh, PlaneCommand } from "../mesh-port.ts";
import {
  type BoundListener,
  type Certificate,
  type Clock,
  type DataPlane,
  type DataPlaneCounters,
  type DataPlaneEvent,
  ListenError,
  type ListenerSpec,
  type RelayCounters,
} from "../port.ts";
import { Admission } from "./admission.ts";
import { bindFailure } from "./bind-failure.ts";
import type { Client } from "./client.ts";
import { EventQueue } from "./event-queue.ts";
import { Forwarder } from "./forward.ts";
import { errnoOf, fromErrno, listenError } from "./listen-error.ts";
import type { Listener, ListenerContext } from "./listener.ts";
import { Relay } from "./relay.ts";
import { StreamListener } from "./stream-listener.ts";
import { Table } from "./table.ts";
import { Tally } from "./tally.ts";
import { UdpListener } from "./udp-listener.ts";
import { UdpSocket } from "./udp-socket.ts";

export interface NodeDataPlaneOptions extends Partial<DataPlaneLimits> {
  readonly clock: Clock;
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
  readonly #table: Table = new Table();
  readonly #listeners: Map<ListenerId, Listener> = new Map();
  /** Of those that are open or about to be. */
  readonly #listenerIds: Set<ListenerId> = new Set();
  /** Relays whose socket is not bound yet. Their table entries wait with them. */
  readonly #binding: Set<Relay> = new Set();
  readonly #forwarder: Forwarder;
  readonly #admission: Admission;
  #closed: Promise<void> | undefined;

  constructor({ clock, ...limits }: NodeDataPlaneOptions) {
    this.#clock = clock;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
    this.#admission = new Admission(this.#limits.maxStreams, this.#limits.maxStreamsPerSource);
    this.#forwarder = new Forwarder(clock, this.#tally, this.#listeners);
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
    this.#listeners.set(spec.id, listener);
    return { id: spec.id, local: listener.local };
  }

  setCertificate(listener: ListenerId, certificate: Certificate): void {
    const open = this.#listeners.get(listener);
    if (open === undefined) throw new ListenError(`listener ${listener} is not open`);
    open.setCertificate(certificate);
  }

  openMesh({ local }: MeshSpec): Promise<OpenMesh> {
    return Promise.reject(new ListenError(`mesh ${formatAddress(local)}: not available`));
  }

  setMeshSecrets(): void {
    throw new ListenError("no mesh is open");
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
      mesh: { packetsSent: 0, bytesSent: 0, packetsReceived: 0, bytesReceived: 0, peers: 0, foreignClients: 0 },
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
    await Promise.all([...listeners.map((one) => one.close()), ...relays.map((relay) => relay.socket.close())]);
  }

  async #open(spec: ListenerSpec): Promise<Listener> {
    const listener = spec.id;
    const clients = this.#table.clientsOf(listener);
    const take = (bytes: Buffer, ip: string, port: number): boolean =>
      this.#take(spec, clients.get(ip, port), bytes, ip, port);
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

  #take(spec: ListenerSpec, client: Client | undefined, bytes: Buffer, ip: string, port: number): boolean {
    const verdict = spec.mode === "stun" ? this.#forwarder.stunOnly(bytes) : this.#forwarder.fromClient(bytes, client);
    if (verdict === "done") return false;
    this.#tally.slowPath += 1;
    const tuple = client?.tuple ?? { listener: spec.id, remote: { ip, port } };
    this.#events.push({ type: "client-input", client: tuple, bytes });
    return true;
  }

  #carryOut(command: PlaneCommand): void {
    switch (command.type) {
      case "send":
        if (command.to === "client") this.#sendToClient(command);
        else this.#sendToPeer(command);
        break;
      case "upsert":
        if (command.entry.kind === "foreign" || command.entry.kind === "foreign-ports") break;
        this.#table.upsert(command.entry, this.#clock());
        break;
      case "revoke":
        if (command.key.kind === "foreign" || command.key.kind === "foreign-ports") break;
        this.#table.revoke(command.key);
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
    }
  }

  #sendToClient({ client, bytes }: SendToClient): void {
    const listener = this.#listeners.get(client.listener);
    const reason = listener === undefined ? "unknown-client" : listener.send(client.remote, bytes);
    if (reason !== undefined) this.#tally.drop(reason);
  }

  #sendToPeer({ relay: id, peer, bytes }: SendToPeer): void {
    const relay = this.#table.relays.get(id);
    if (relay === undefined) this.#tally.drop("no-allocation");
    else this.#forwarder.toPeer(relay, peer, bytes);
  }

  #bind({ relay: id, local }: Bind): void {
    const known = this.#table.relays.get(id);
    if (known !== undefined) {
      if (this.#binding.has(known)) return;
      const same = known.local.ip === local.ip && known.local.port === local.port;
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
    const relay = new Relay(id, local, socket);
    this.#table.relays.set(id, relay);
    this.#binding.add(relay);
  }

  #afterBind(relay: Relay, error: NodeJS.ErrnoException | undefined): void {
    this.#binding.delete(relay);
    if (this.#table.relays.get(relay.id) !== relay) return;
    if (error !== undefined) this.#table.remove(relay);
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
