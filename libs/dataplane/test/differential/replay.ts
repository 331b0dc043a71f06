import { crc32 } from "node:zlib";
import type { DataPlaneEvent } from "@culvert/dataplane";
import { beginsAsChannelData, readSendIndication, type TransportAddress } from "@culvert/stun";
import { type DataPlaneTrace, type PlaneCommand, signAgain, type TraceStep } from "@culvert/testkit";
import type { ClientTuple, TableEntry } from "@culvert/turn";
import { dataIndication, paddedChannelData } from "../contract/messages.ts";
import { StreamEndpoint } from "../contract/stream-endpoint.ts";
import { UdpEndpoint } from "../contract/udp-endpoint.ts";
import type { Harness } from "../contract/world.ts";
import { difference, packetsOf } from "./counted.ts";

const MARKER = "nothing more of this step";
const MARKER_CHANNEL = 0x7ffe;
/** For packets that a data plane has lost sight of: a bug. */
const PATIENCE_MS = 15_000;

const keyOf = ({ ip, port }: TransportAddress): string => `${ip} ${port}`;
const isLoopback = ({ ip }: TransportAddress): boolean => ip === "127.0.0.1" || ip === "::1";

/** A client or a peer of the trace. */
interface Actor {
  readonly name: string;
  readonly endpoint: UdpEndpoint | StreamEndpoint;
}

/**
 * Plays a recorded trace on one data plane, from sockets of its own, and writes down what can be seen of it: in names
 * instead of addresses, which differ from run to run.
 */
export class Replay {
  readonly #harness: Harness;
  readonly #trace: DataPlaneTrace;
  readonly #start: number;
  /** By listener and recorded address. */
  readonly #clients: Map<string, Actor> = new Map();
  readonly #peers: Map<string, Actor> = new Map();
  /** What recorded addresses are now: of listeners, relays and peers. */
  readonly #now: Map<string, TransportAddress> = new Map();
  readonly #names: Map<string, string> = new Map();
  readonly #events: DataPlaneEvent[] = [];

  private constructor(harness: Harness, trace: DataPlaneTrace) {
    this.#harness = harness;
    this.#trace = trace;
    this.#start = harness.now();
    harness.plane.onEvents((events) => this.#events.push(...events));
  }

  static async open(harness: Harness, trace: DataPlaneTrace): Promise<Replay> {
    const replay = new Replay(harness, trace);
    await replay.#open();
    return replay;
  }

  async close(): Promise<void> {
    await this.#harness.plane.close();
    for (const { endpoint } of [...this.#clients.values(), ...this.#peers.values()]) {
      if (endpoint instanceof StreamEndpoint) endpoint.destroy();
      else await endpoint.close();
    }
  }

  /** One line for each step: what the counters, the events and all sockets showed. */
  async play(): Promise<string[]> {
    const lines: string[] = [];
    const { plane } = this.#harness;
    for (const [index, step] of this.#trace.steps.entries()) {
      const before = plane.counters();
      await this.#harness.advance(this.#start + step.at - this.#harness.now());
      const sent = await this.#take(step);
      const seen = await this.#look(sent);
      const counted = difference(before, plane.counters());
      lines.push(JSON.stringify({ index, type: step.type, counted, seen }));
    }
    return lines;
  }

  async #open(): Promise<void> {
    const { listeners, steps } = this.#trace;
    for (const spec of listeners) {
      const { local } = await this.#harness.plane.listen({ ...spec, local: { ip: spec.local.ip, port: 0 } });
      this.#place(`${spec.transport} listener`, spec.local, local);
    }
    const relays = new Map<string, TransportAddress>();
    for (const step of steps) {
      for (const { type, ...rest } of step.type === "commands" ? step.commands : []) {
        if (type === "bind" && "local" in rest) relays.set(keyOf(rest.local), rest.local);
      }
    }
    // All at once, so that no two get the same.
    const free = await Promise.all([...relays.values()].map(async ({ ip }) => await UdpEndpoint.open(ip)));
    for (const [index, recorded] of [...relays.values()].entries()) {
      const endpoint = free[index];
      if (endpoint !== undefined) this.#place(`relay ${index}`, recorded, endpoint.address);
    }
    for (const step of steps) await this.#openFor(step);
    for (const endpoint of free) await endpoint.close();
  }

  async #openFor(step: TraceStep): Promise<void> {
    if (step.type === "from-client") {
      await this.#openClient(step.client);
      const peer = readSendIndication(step.bytes)?.peer;
      if (peer !== undefined) await this.#openPeer(peer);
    } else if (step.type === "from-peer") await this.#openPeer(step.from);
    else {
      for (const command of step.commands) {
        if (command.type === "upsert" && command.entry.kind === "channel") await this.#openPeer(command.entry.peer);
      }
    }
  }

  async #openClient(client: ClientTuple): Promise<void> {
    const key = this.#clientKey(client);
    const listener = this.#trace.listeners.find(({ id }) => id === client.listener);
    if (listener === undefined || this.#clients.has(key)) return;
    const to = this.#actual(listener.local);
    const open = listener.transport === "udp" ? UdpEndpoint.open(client.remote.ip) : StreamEndpoint.connect(to);
    const [name, endpoint] = [`client ${this.#clients.size}`, await open];
    this.#clients.set(key, { name, endpoint });
    this.#names.set(keyOf(endpoint.address), name);
  }

  /** Elsewhere than on loopback there is nobody, and nothing may go there. */
  async #openPeer(recorded: TransportAddress): Promise<void> {
    if (this.#now.has(keyOf(recorded)) || !isLoopback(recorded)) return;
    const [name, endpoint] = [`peer ${this.#peers.size}`, await UdpEndpoint.open(recorded.ip)];
    this.#peers.set(keyOf(recorded), { name, endpoint });
    this.#place(name, recorded, endpoint.address);
  }

  #place(name: string, recorded: TransportAddress, actual: TransportAddress): void {
    this.#now.set(keyOf(recorded), actual);
    this.#names.set(keyOf(actual), name);
  }

  /** Returns what a client sent, which is to come up as it is. */
  async #take(step: TraceStep): Promise<Uint8Array | undefined> {
    if (step.type === "commands") {
      this.#harness.plane.apply(step.commands.map((command) => this.#translated(command)));
      return undefined;
    }
    if (step.type === "from-peer") {
      const relay = this.#relayOf(step.relay);
      const peer = this.#peers.get(keyOf(step.from))?.endpoint;
      if (peer instanceof UdpEndpoint) await this.#counted(1, () => peer.send(relay, step.bytes));
      return undefined;
    }
    const { endpoint } = this.#client(step.client);
    const bytes = this.#toPeersOfNow(step.bytes);
    await this.#counted(step.hops === true ? 2 : 1, () => {
      if (endpoint instanceof UdpEndpoint) return endpoint.send(this.#listenerOf(step.client), bytes);
      const padding = beginsAsChannelData(bytes) ? -bytes.length & 3 : 0;
      return endpoint.write(Buffer.concat([bytes, Buffer.alloc(padding)]));
    });
    return bytes;
  }

  #relayOf(relay: number): TransportAddress {
    for (const step of this.#trace.steps) {
      if (step.type !== "commands") continue;
      for (const command of step.commands) {
        if (command.type === "bind" && command.relay === relay) return this.#actual(command.local);
      }
    }
    throw new Error(`relay ${relay} is never bound`);
  }

  #listenerOf(client: ClientTuple): TransportAddress {
    const listener = this.#trace.listeners.find(({ id }) => id === client.listener);
    if (listener === undefined) throw new Error(`there is no listener ${client.listener}`);
    return this.#actual(listener.local);
  }

  #client(client: ClientTuple): Actor {
    const actor = this.#clients.get(this.#clientKey(client));
    if (actor === undefined) throw new Error(`nobody is ${this.#clientKey(client)}`);
    return actor;
  }

  #clientKey({ listener, remote }: ClientTuple): string {
    return `${listener} ${keyOf(remote)}`;
  }

  #actual(recorded: TransportAddress): TransportAddress {
    return this.#now.get(keyOf(recorded)) ?? recorded;
  }

  #tuple(client: ClientTuple): ClientTuple {
    return { listener: client.listener, remote: this.#client(client).endpoint.address };
  }

  #translated(command: PlaneCommand): PlaneCommand {
    if (command.type === "bind") return { ...command, local: this.#actual(command.local) };
    if (command.type === "upsert" && "relay" in command.entry) {
      return { ...command, entry: this.#entry(command.entry) };
    }
    if (command.type === "send" && command.to === "client") return { ...command, client: this.#tuple(command.client) };
    if (command.type === "send" && command.to === "peer") return { ...command, peer: this.#actual(command.peer) };
    if (command.type === "close") return { ...command, client: this.#tuple(command.client) };
    return command;
  }

  #entry(entry: TableEntry): TableEntry {
    const deadline = this.#start + entry.deadline;
    switch (entry.kind) {
      case "allocation":
        return { ...entry, deadline, client: this.#tuple(entry.client) };
      case "channel":
        return { ...entry, deadline, peer: this.#actual(entry.peer) };
      case "permission": {
        const ports = entry.exceptPorts?.map((port) => this.#actual({ ip: entry.ip, port }).port);
        return { ...entry, deadline, ...(ports && { exceptPorts: ports }) };
      }
    }
  }

  /** A Send indication names its peer. */
  #toPeersOfNow(recorded: Uint8Array): Uint8Array {
    const peer = readSendIndication(recorded)?.peer;
    if (peer === undefined) return recorded;
    const bytes = recorded.slice();
    const view = new DataView(bytes.buffer);
    for (let at = 20; at < bytes.length; ) {
      const [type, length] = [view.getUint16(at), view.getUint16(at + 2)];
      // XOR-PEER-ADDRESS: the port is combined with the upper half of the magic cookie.
      if (type === 0x0012) view.setUint16(at + 6, this.#actual(peer).port ^ 0x2112);
      at += 4 + length + (-length & 3);
    }
    signAgain(bytes);
    return bytes;
  }

  /** Waits until so many packets more are counted. */
  async #counted(packets: number, deliver: () => Promise<void>): Promise<void> {
    const { plane } = this.#harness;
    const after = packetsOf(plane.counters()) + packets;
    await deliver();
    const end = performance.now() + PATIENCE_MS;
    while (packetsOf(plane.counters()) < after) {
      if (performance.now() > end) throw new Error("a packet is not counted");
      await new Promise(setImmediate);
    }
  }

  /** What has come out of the data plane since the last look. */
  async #look(sent: Uint8Array | undefined): Promise<string[]> {
    const seen: string[] = [];
    for (const [client, { name, endpoint }] of this.#clients) {
      if (endpoint instanceof UdpEndpoint) await this.#lookAt(name, endpoint, seen);
      else await this.#lookAtStream(name, Number(client.split(" ", 1)[0]), endpoint, seen);
    }
    for (const { name, endpoint } of this.#peers.values()) {
      if (endpoint instanceof UdpEndpoint) await this.#lookAt(name, endpoint, seen);
    }
    // A bind's answer comes in a turn of its own, and one in the turn after this would be missed.
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
    for (const event of this.#events.splice(0)) seen.push(this.#describeEvent(event, sent));
    return seen;
  }

  async #lookAt(name: string, endpoint: UdpEndpoint, seen: string[]): Promise<void> {
    await endpoint.send(endpoint.address, MARKER);
    for (;;) {
      const { data, from } = await endpoint.next();
      if (data.toString() === MARKER) return;
      seen.push(`${name} from ${this.#nameOf(from)}: ${this.#describe(data)}`);
    }
  }

  async #lookAtStream(name: string, listener: number, endpoint: StreamEndpoint, seen: string[]): Promise<void> {
    const client = { listener, remote: endpoint.address };
    const bytes = paddedChannelData(MARKER_CHANNEL, MARKER);
    this.#harness.plane.apply([{ type: "send", to: "client", client, bytes }]);
    for (;;) {
      const frame = await endpoint.next();
      if (beginsAsChannelData(frame) && frame.readUInt16BE(0) === MARKER_CHANNEL) return;
      seen.push(`${name}: ${this.#describe(frame)}`);
    }
  }

  /** Transaction ids of Data indications are random. */
  #describe(data: Buffer): string {
    const indication = dataIndication(data);
    if (indication === undefined) return digest(data);
    return `Data of ${this.#nameOf(indication.peer)} ${digest(Buffer.from(indication.data))}`;
  }

  #describeEvent(event: DataPlaneEvent, sent: Uint8Array | undefined): string {
    if (event.type !== "client-input") return JSON.stringify(event);
    const same = sent !== undefined && Buffer.compare(event.bytes, sent) === 0;
    return `up from ${this.#nameOf(event.client.remote)} ${same ? "as sent" : digest(Buffer.from(event.bytes))}`;
  }

  #nameOf(address: TransportAddress): string {
    return this.#names.get(keyOf(address)) ?? keyOf(address);
  }
}

const digest = (bytes: Buffer): string =>
  `${bytes.length} bytes, ${bytes.toString("hex", 0, 24)}, ${crc32(bytes).toString(16)}`;
