import { availableParallelism } from "node:os";
import { getSystemErrorName } from "node:util";
import { beginsAsChannelData, parseIp, type TransportAddress } from "@culvert/stun";
import type { BindResult, ClientAddress, ClientTuple, ListenerId, RelayId } from "@culvert/turn";
import { type DataPlaneLimits, DEFAULT_LIMITS } from "../limits.ts";
import { checkMesh, checkSecrets, meshError } from "../mesh/spec.ts";
import { isForeign, type MeshPeerId, type MeshSpec, type OpenMesh, type PlaneCommand } from "../mesh-port.ts";
import { Admission } from "../node/admission.ts";
import { bindFailure } from "../node/bind-failure.ts";
import { EventQueue } from "../node/event-queue.ts";
import { causeOf, fromErrno, listenError } from "../node/listen-error.ts";
import type { Listener } from "../node/listener.ts";
import { isDataIndication, stunOnly } from "../node/messages.ts";
import { StreamListener } from "../node/stream-listener.ts";
import { RelayTally, Tally } from "../node/tally.ts";
import {
  type BoundListener,
  type Certificate,
  type Clock,
  type DataPlane,
  type DataPlaneCounters,
  type DataPlaneEvent,
  DROP_REASONS,
  type DropReason,
  ListenError,
  type ListenerSpec,
  type RelayCounters,
} from "../port.ts";
import type { NativeBinding, NativePlane } from "./binding.ts";
import { loadBinding } from "./load.ts";
import { NativeMesh } from "./native-mesh.ts";
import { CommandPacker, packAddress } from "./pack.ts";
import { type EventHandlers, unpackAddress, unpackEvents } from "./unpack.ts";

export interface NativeDataPlaneOptions extends Partial<DataPlaneLimits> {
  readonly clock: Clock;
  /** Threads that relay UDP. Default: one for each core. */
  readonly workers?: number;
  /**
   * Whether the threads answer plain Binding requests (RFC 8489 section 12) on listeners in "turn" mode; counted as
   * `bindings`, not handed up. Default false.
   */
  readonly answersBindings?: boolean;
  /** See `NodeDataPlaneOptions`. */
  readonly clientsMove?: boolean;
  /**
   * How the threads tell the time: "running" (the default) measures what lies between `clock` and the system's monotonic
   * clock at each `apply`; "stepped" reads `clock` at each `apply`, and there is no other time in between.
   */
  readonly time?: "running" | "stepped";
}

/** For clients of a listener that is not open. */
const NO_LISTENER = 0xffff_ffff;
/** Totals of the addon before what was dropped. */
const FIRST_DROP = 6;
/** And after it: packets and bytes sent and received over the mesh; relays, members of the mesh, foreign clients. */
const MESH = -7;
const HELD = -3;

interface OpenListener {
  readonly id: ListenerId;
  readonly spec: ListenerSpec;
  /** As the addon numbers it. */
  readonly number: number;
  readonly local: TransportAddress;
  /** Undefined for UDP, which is the addon's. */
  readonly stream: Listener | undefined;
}

/**
 * The data plane whose UDP is relayed by threads of native code. TCP and TLS clients are served by the portable one's
 * part for streams; they reach the same relays.
 *
 * @throws Error when the addon is not built, or not for this version. The message is one line that says how to get it.
 */
export function createNativeDataPlane(options: NativeDataPlaneOptions): DataPlane {
  const loaded = loadBinding();
  if (!loaded.ok) throw new Error(loaded.reason);
  return new NativeDataPlane(loaded.binding, options);
}

class NativeDataPlane implements DataPlane, EventHandlers {
  readonly #clock: Clock;
  readonly #limits: DataPlaneLimits;
  readonly #plane: NativePlane;
  readonly #packer: CommandPacker = new CommandPacker();
  readonly #events: EventQueue = new EventQueue();
  /** Of what passes through this thread. */
  readonly #tally: Tally = new Tally();
  /** Likewise, by relay. */
  readonly #relayTallies: Map<RelayId, RelayTally> = new Map();
  readonly #listeners: Map<ListenerId, OpenListener> = new Map();
  readonly #byNumber: OpenListener[] = [];
  readonly #listenerIds: Set<ListenerId> = new Set();
  readonly #admission: Admission;
  readonly #mesh: NativeMesh;
  /** When there were more events than are taken at once. */
  #turn: NodeJS.Immediate | undefined;
  /** The totals as they were when it closed. */
  #last: readonly number[] | undefined;
  #closed: Promise<void> | undefined;

  constructor(binding: NativeBinding, options: NativeDataPlaneOptions) {
    const {
      clock,
      workers = availableParallelism(),
      answersBindings = false,
      clientsMove = false,
      time = "running",
      ...limits
    } = options;
    this.#clock = clock;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
    this.#admission = new Admission(this.#limits.maxStreams, this.#limits.maxStreamsPerSource);
    const native = {
      workers,
      now: clock(),
      stepped: time === "stepped",
      answersBindings,
      clientsMove,
      receiveBuffer: this.#limits.recvBufferSize,
      sendBuffer: this.#limits.sendBufferSize,
      relayBuffer: this.#limits.relayBufferSize,
    };
    this.#plane = new binding.Plane(native, () => {
      if (this.#turn === undefined) this.#takeEvents();
    });
    this.#mesh = new NativeMesh(this.#plane, this.#packer, (id) => this.#listeners.get(id));
  }

  async listen(spec: ListenerSpec): Promise<BoundListener> {
    if (parseIp(spec.local.ip) === undefined) throw listenError(spec, "not an IP address");
    if (this.#closed !== undefined) throw listenError(spec, "the data plane is closed");
    if (this.#listenerIds.has(spec.id)) throw listenError(spec, `listener ${spec.id} is open already`);
    if (this.#mesh.isTaken(spec)) {
      throw listenError(spec, `another listener has frontend ${JSON.stringify(spec.frontend)}`);
    }
    this.#listenerIds.add(spec.id);
    const listener = await this.#open(spec).catch((error: unknown) => {
      this.#listenerIds.delete(spec.id);
      throw error instanceof ListenError ? error : fromErrno(spec, error);
    });
    if (this.#closed !== undefined) {
      await listener.stream?.close();
      throw listenError(spec, "the data plane is closed");
    }
    this.#listeners.set(spec.id, listener);
    this.#mesh.join(spec, listener.number);
    return { id: spec.id, local: listener.local };
  }

  setCertificate(id: ListenerId, certificate: Certificate): void {
    const listener = this.#listeners.get(id);
    if (listener === undefined) throw new ListenError(`listener ${id} is not open`);
    if (listener.stream === undefined) {
      throw listenError({ id, transport: "udp", local: listener.local }, "takes no certificate");
    }
    listener.stream.setCertificate(certificate);
  }

  async openMesh(spec: MeshSpec): Promise<OpenMesh> {
    if (this.#closed !== undefined) throw meshError(spec, "the data plane is closed");
    if (this.#mesh.isOpen) throw meshError(spec, "a mesh is open already");
    const checked = checkMesh(spec, (id) => this.#listeners.get(id)?.spec);
    const opened = this.#mesh.open(spec.local, checked);
    if (typeof opened !== "number") return opened;
    throw meshError(spec, causeOf(systemError(opened)));
  }

  setMeshSecrets(secrets: readonly Uint8Array[]): void {
    this.#mesh.setSecrets(checkSecrets(secrets));
    if (this.#closed === undefined) this.#flush();
  }

  apply(commands: readonly PlaneCommand[]): void {
    if (this.#closed !== undefined) return;
    for (const command of commands) this.#pack(command);
    this.#flush();
    // What became of binds is handed up at once: whoever asked waits for it to answer its client.
    this.#events.flush();
  }

  onEvents(sink: (events: readonly DataPlaneEvent[]) => void): void {
    this.#events.setSink(sink);
  }

  counters(): DataPlaneCounters {
    const native = this.#last ?? this.#plane.counters();
    const [packetsSent = 0, bytesSent = 0, packetsReceived = 0, bytesReceived = 0] = native.slice(MESH, HELD);
    const closed = this.#last !== undefined;
    const [relays = 0, peers = 0, foreignClients = 0] = closed ? [] : native.slice(HELD);
    const { packetsToPeers, bytesToPeers, packetsToClients, bytesToClients, slowPath } = this.#tally;
    const dropped = { ...this.#tally.dropped };
    for (const [index, count] of native.slice(FIRST_DROP, MESH).entries()) {
      const reason = DROP_REASONS[index];
      if (reason !== undefined) dropped[reason] += count;
    }
    const of = (index: number): number => native[index] ?? 0;
    return {
      packetsToPeers: packetsToPeers + of(0),
      bytesToPeers: bytesToPeers + of(1),
      packetsToClients: packetsToClients + of(2),
      bytesToClients: bytesToClients + of(3),
      slowPath: slowPath + of(4),
      bindings: of(5),
      dropped,
      relays,
      streams: this.#admission.open,
      mesh: {
        packetsSent,
        bytesSent,
        packetsReceived,
        bytesReceived,
        peers,
        foreignClients,
      },
    };
  }

  relayCounters(relay: RelayId): RelayCounters | undefined {
    if (this.#closed !== undefined) return undefined;
    const [packetsToPeers, bytesToPeers, packetsToClient, bytesToClient, dropped] = this.#plane.relayCounters(relay);
    if (packetsToPeers === undefined || bytesToPeers === undefined) return undefined;
    const own = this.#relayTallies.get(relay);
    return {
      packetsToPeers,
      bytesToPeers,
      packetsToClient: (packetsToClient ?? 0) + (own?.packetsToClient ?? 0),
      bytesToClient: (bytesToClient ?? 0) + (own?.bytesToClient ?? 0),
      dropped: (dropped ?? 0) + (own?.dropped ?? 0),
    };
  }

  close(): Promise<void> {
    this.#closed ??= this.#closeAll();
    return this.#closed;
  }

  clientInput(number: number, remote: ClientAddress, bytes: Buffer): void {
    const listener = this.#byNumber[number];
    if (listener === undefined) return;
    this.#events.push({ type: "client-input", client: { listener: listener.id, remote }, bytes });
  }

  peerError(relay: RelayId, peer: TransportAddress, icmp: { type: number; code: number; data: number }): void {
    this.#events.push({ type: "peer-error", relay, peer, icmp });
  }

  viaMesh(number: number, remote: ClientAddress, peer: MeshPeerId, bytes: Buffer): void {
    const listener = this.#byNumber[number];
    if (listener === undefined) return;
    const { stream } = listener;
    // One whose connection ends here is heard here.
    if (stream?.serves(remote)) this.#tally.drop("mesh-refused");
    else if (stream === undefined || this.#plane.fromStreamVia(number, packAddress(remote), peer, bytes)) {
      if (stream !== undefined) this.#tally.slowPath += 1;
      this.#events.push({ type: "client-input", client: { listener: listener.id, remote }, bytes, via: peer });
    }
  }

  meshControl(peer: MeshPeerId, bytes: Buffer): void {
    this.#events.push({ type: "mesh-control", peer, bytes });
  }

  meshToStream(number: number, remote: ClientAddress, bytes: Buffer): void {
    const stream = this.#byNumber[number]?.stream;
    const isData = beginsAsChannelData(bytes) || isDataIndication(bytes);
    const reason = isData ? stream?.relay(remote, bytes) : stream?.send(remote, bytes);
    if (reason !== undefined) this.#tally.drop(reason);
  }

  toStream(number: number, remote: ClientAddress, relay: RelayId, payload: number, bytes: Buffer): void {
    const stream = this.#byNumber[number]?.stream;
    const reason: DropReason | undefined = stream === undefined ? "unknown-client" : stream.relay(remote, bytes);
    let tally = this.#relayTallies.get(relay);
    if (tally === undefined) {
      tally = new RelayTally();
      this.#relayTallies.set(relay, tally);
    }
    if (reason === undefined) this.#tally.toClient(payload, tally);
    else this.#tally.drop(reason, tally);
  }

  async #closeAll(): Promise<void> {
    this.#events.close();
    this.#last = this.#plane.counters();
    this.#plane.close();
    const streams = this.#byNumber.map(({ stream }) => stream?.close());
    this.#listeners.clear();
    await Promise.all(streams);
  }

  /** Takes some of what waits. Answers from elsewhere and timers have their turn before the next ones. */
  #takeEvents(): void {
    if (this.#closed !== undefined) return;
    unpackEvents(this.#plane.takeEvents(), this);
    this.#events.flush();
    if (this.#closed !== undefined || !this.#plane.eventsWait()) return;
    this.#turn = setImmediate(() => {
      this.#turn = undefined;
      this.#takeEvents();
    });
  }

  async #open(spec: ListenerSpec): Promise<OpenListener> {
    if (spec.transport === "udp") return this.#openUdp(spec);
    const number = this.#plane.addStreamListener();
    const { id } = spec;
    const stream = await StreamListener.open({
      spec,
      limits: this.#limits,
      tally: this.#tally,
      take: (bytes, ip, port) => this.#take(spec, number, { ip, port }, bytes),
      admission: this.#admission,
      ownsRelay: (remote) => this.#closed === undefined && this.#plane.ownsRelay(number, packAddress(remote)),
      forgetClient: (remote) => {
        if (this.#closed === undefined) this.#plane.forgetClient(number, packAddress(remote));
      },
      announceClosed: (remote) => this.#events.push({ type: "client-closed", client: { listener: id, remote } }),
    });
    const listener: OpenListener = { id, spec, number, local: stream.local, stream };
    this.#byNumber[number] = listener;
    return listener;
  }

  #openUdp(spec: ListenerSpec): OpenListener {
    const { errno, listener: number, local } = this.#plane.listen(packAddress(spec.local), spec.mode === "stun");
    if (errno !== 0) throw systemError(errno);
    const listener: OpenListener = { id: spec.id, spec, number, local: unpackAddress(local), stream: undefined };
    this.#byNumber[number] = listener;
    return listener;
  }

  /** One frame of a stream. True when it was handed up. */
  #take(spec: ListenerSpec, number: number, remote: ClientAddress, bytes: Buffer): boolean {
    if (this.#closed !== undefined) return false;
    const drop = spec.mode === "stun" ? stunOnly(bytes) : undefined;
    if (drop !== undefined) {
      this.#tally.drop(drop);
      return false;
    }
    if (spec.mode !== "stun" && !this.#plane.fromStream(number, packAddress(remote), bytes)) return false;
    this.#tally.slowPath += 1;
    this.#events.push({ type: "client-input", client: { listener: spec.id, remote }, bytes });
    return true;
  }

  #pack(command: PlaneCommand): void {
    switch (command.type) {
      case "send":
        if (command.to === "peer") this.#packer.sendToPeer(command);
        else this.#sendToClient(command.client, command.bytes);
        break;
      case "upsert":
        if (isForeign(command)) this.#mesh.pack(command);
        else if (command.entry.kind === "allocation") {
          const { listener } = command.entry.client;
          this.#packer.allocation(this.#numberOf(listener), command.entry);
        } else if (command.entry.kind === "permission") this.#packer.permission(command.entry);
        else this.#packer.channel(command.entry);
        break;
      case "revoke":
        if (isForeign(command)) this.#mesh.pack(command);
        else this.#packer.revoke(command.key);
        break;
      case "bind":
        this.#packer.bind(command);
        break;
      case "unbind":
        this.#relayTallies.delete(command.relay);
        this.#packer.unbind(command);
        break;
      case "close":
        this.#listeners.get(command.client.listener)?.stream?.closeClient(command.client.remote);
        break;
      case "lease":
        this.#packer.lease(command);
        break;
      default:
        this.#mesh.pack(command);
    }
  }

  #sendToClient({ listener: id, remote }: ClientTuple, bytes: Uint8Array): void {
    const stream = this.#listeners.get(id)?.stream;
    // One whose connection does not end here may be reached by way of another relay.
    if (stream === undefined || (this.#mesh.isOpen && !stream.serves(remote))) {
      this.#packer.sendToClient(this.#numberOf(id), remote, bytes);
      return;
    }
    const reason = stream.send(remote, bytes);
    if (reason !== undefined) this.#tally.drop(reason);
  }

  #numberOf(listener: ListenerId): number {
    return this.#listeners.get(listener)?.number ?? NO_LISTENER;
  }

  #flush(): void {
    const bound = this.#plane.apply(this.#clock(), this.#packer.take());
    for (let index = 0; index < bound.length; index += 2) {
      this.#bound(bound[index] ?? 0, bound[index + 1] ?? 0);
    }
  }

  #bound(relay: RelayId, errno: number): void {
    const result: BindResult = errno === 0 ? { ok: true } : { ok: false, reason: bindFailure(nameOf(errno)) };
    this.#events.push({ type: "bound", relay, result });
  }
}

function systemError(errno: number): Error {
  return Object.assign(new Error(nameOf(errno)), { code: nameOf(errno) });
}

function nameOf(errno: number): string {
  return errno > 0 ? getSystemErrorName(-errno) : "UNKNOWN";
}
