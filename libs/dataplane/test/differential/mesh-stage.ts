import type { BoundListener, DataPlaneEvent, OpenMesh, PlaneCommand } from "@culvert/dataplane";
import { encodeMessage, MessageClass, Method, type TransportAddress } from "@culvert/stun";
import type { ClientTuple } from "@culvert/turn";
import { type MeshFrame, readFrame } from "../../src/mesh/frame.ts";
import { sealKeys } from "../../src/mesh/keys.ts";
import { open as openSealed, seal } from "../../src/mesh/seal.ts";
import { clientFrame, FRONTEND, peerFrame, SECRET } from "../contract/mesh-world.ts";
import { binding, channelData, dataIndication, send } from "../contract/messages.ts";
import { UdpEndpoint } from "../contract/udp-endpoint.ts";
import type { Harness } from "../contract/world.ts";
import { difference, packetsOf } from "./counted.ts";
import type { ClientName, MemberName, MeshStep, Said } from "./mesh-trace.ts";

const LOOPBACK = "127.0.0.1";
const MARKER = "nothing more of this step";
const [RELAY, CHANNEL, LIFETIME] = [1, 0x4000, 600_000];
const INSTANCE = Buffer.alloc(16, "the data plane");
const [KEY] = sealKeys([SECRET], INSTANCE);

/** Another relay, as the data plane knows it. */
interface Member {
  readonly peer: number;
  readonly instance: Buffer;
  readonly endpoint: UdpEndpoint;
  counter: bigint;
  last: Buffer;
}

/** Plays traces of the mesh on one data plane and writes down what can be seen of it, in names instead of addresses. */
export class MeshStage {
  readonly #harness: Harness;
  readonly #listener: BoundListener;
  readonly #mesh: OpenMesh;
  readonly #clients: Readonly<Record<ClientName, UdpEndpoint>>;
  readonly #members: Readonly<Record<MemberName, Member>>;
  readonly #peer: UdpEndpoint;
  readonly #relayed: TransportAddress;
  readonly #events: DataPlaneEvent[] = [];
  #bound = false;

  private constructor(harness: Harness, listener: BoundListener, mesh: OpenMesh, udp: readonly UdpEndpoint[]) {
    const [A, B, M, N, peer, relayed] = udp;
    if (!A || !B || !M || !N || !peer || !relayed) throw new Error("too few sockets");
    const member = (id: number, endpoint: UdpEndpoint): Member => {
      const instance = Buffer.alloc(16, `member ${id} `);
      return { peer: id, instance, endpoint, counter: 1n << 40n, last: Buffer.of(0) };
    };
    this.#harness = harness;
    this.#listener = listener;
    this.#mesh = mesh;
    this.#clients = { A, B };
    this.#members = { M: member(1, M), N: member(2, N) };
    this.#peer = peer;
    this.#relayed = relayed.address;
    harness.plane.onEvents((events) => this.#events.push(...events));
  }

  static async open(harness: Harness): Promise<MeshStage> {
    const local = { ip: LOOPBACK, port: 0 };
    const listener = await harness.plane.listen({ id: 1, transport: "udp", local });
    const mesh = await harness.plane.openMesh({
      local,
      instance: INSTANCE.toString("hex"),
      secrets: [SECRET],
      frontends: new Map([[1, FRONTEND]]),
      sharedIps: [LOOPBACK],
    });
    const udp = await Promise.all(Array.from({ length: 6 }, () => UdpEndpoint.open(LOOPBACK)));
    await udp[5]?.close();
    return new MeshStage(harness, listener, mesh, udp);
  }

  async close(): Promise<void> {
    await this.#harness.plane.close();
    await Promise.all(this.#sockets().map(([, endpoint]) => endpoint.close()));
  }

  /** One line for each step: what the counters, the events and all sockets showed. */
  async play(steps: readonly MeshStep[]): Promise<string[]> {
    const lines: string[] = [];
    for (const step of steps) {
      const before = this.#harness.plane.counters();
      await this.#take(step);
      const seen = await this.#look();
      lines.push(JSON.stringify({ step, counted: difference(before, this.#harness.plane.counters()), seen }));
    }
    lines.push(JSON.stringify(this.#harness.plane.relayCounters(RELAY) ?? null));
    return lines;
  }

  async #take(step: MeshStep): Promise<void> {
    switch (step.type) {
      case "advance":
        await this.#harness.advance(step.ms);
        return;
      case "says": {
        const bytes = this.#message(step.said);
        const { address } = this.#clients[step.client];
        if (step.via === undefined) {
          return this.#packet(() => this.#clients[step.client].send(this.#listener.local, bytes));
        }
        return this.#fromMember(step.via, clientFrame("client-packet", { client: address, bytes }));
      }
      case "reply": {
        const { address } = this.#clients[step.client];
        return this.#fromMember(
          step.member,
          clientFrame("client-reply", { client: address, bytes: Buffer.from("reply") }),
        );
      }
      case "peer": {
        const data = Buffer.alloc(step.size, "data ");
        if (step.via !== undefined) {
          return this.#fromMember(step.via, peerFrame(this.#relayed, this.#peer.address, data));
        }
        if (this.#bound) await this.#packet(() => this.#peer.send(this.#relayed, data));
        return;
      }
      case "control":
        this.#apply({ type: "mesh-send", peer: this.#members[step.member].peer, bytes: Buffer.from("control") });
        return this.#fromMember(step.member, [Uint8Array.of(4), Buffer.from("control")]);
      case "replay":
        return this.#datagram(step.member, this.#members[step.member].last);
      case "damaged": {
        const whole = this.#seal(step.member, [Uint8Array.of(4), Buffer.alloc(80)]);
        whole[step.at] = (whole[step.at] ?? 0) ^ 1;
        return this.#datagram(step.member, whole);
      }
      default:
        this.#command(step);
    }
  }

  #command(
    step: Exclude<MeshStep, { type: "advance" | "says" | "reply" | "peer" | "control" | "replay" | "damaged" }>,
  ): void {
    const deadline = (lifetime: number) => this.#harness.now() + lifetime;
    switch (step.type) {
      case "register": {
        const { peer, instance, endpoint } = this.#members[step.member];
        const { address } = endpoint;
        this.#apply({ type: "mesh-peer", peer, instance: instance.toString("hex"), address });
        break;
      }
      case "gone":
        this.#apply({ type: "mesh-peer-gone", peer: this.#members[step.member].peer });
        break;
      case "foreign": {
        const { peer } = this.#members[step.member];
        const client = this.#tuple(step.client);
        this.#apply({ type: "upsert", entry: { kind: "foreign", client, peer, deadline: deadline(step.lifetime) } });
        break;
      }
      case "revoke":
        this.#apply({ type: "revoke", key: { kind: "foreign", client: this.#tuple(step.client) } });
        break;
      case "forward": {
        const { peer } = this.#members[step.member];
        this.#apply({ type: "forward", peer, client: this.#tuple(step.client), bytes: this.#message("request") });
        break;
      }
      case "answer":
        this.#apply({ type: "send", to: "client", client: this.#tuple(step.client), bytes: Buffer.from("answer") });
        break;
      case "allocate": {
        const entry = { relay: RELAY, deadline: deadline(LIFETIME) };
        const client = this.#tuple(step.client);
        this.#apply({ type: "upsert", entry: { ...entry, kind: "allocation", client, family: 4 } });
        this.#apply({ type: "upsert", entry: { ...entry, kind: "permission", ip: LOOPBACK } });
        this.#apply({
          type: "upsert",
          entry: { ...entry, kind: "channel", channel: CHANNEL, peer: this.#peer.address },
        });
        break;
      }
      case "bind":
        this.#bound = true;
        this.#apply({ type: "bind", relay: RELAY, local: this.#relayed, lease: step.lease });
        break;
      case "unbind":
        this.#bound = false;
        this.#apply({ type: "unbind", relay: RELAY });
        break;
      case "lease":
        this.#apply({ type: "lease", lease: step.lease, deadline: step.lifetime && deadline(step.lifetime) });
        break;
    }
  }

  #message(said: Said): Uint8Array {
    switch (said) {
      case "channel-data":
        return channelData(CHANNEL, "on the channel");
      case "send":
        return send(this.#peer.address, "sent");
      case "binding":
        return binding();
      case "request":
        return encodeMessage({
          method: Method.Refresh,
          class: MessageClass.Request,
          transactionId: Buffer.alloc(12, "request"),
        });
      case "nonsense":
        return Buffer.from("nonsense");
    }
  }

  #apply(command: PlaneCommand): void {
    this.#harness.plane.apply([command]);
  }

  #seal(name: MemberName, parts: readonly Uint8Array[]): Buffer {
    const member = this.#members[name];
    const [key] = sealKeys([SECRET], member.instance);
    if (key === undefined) throw new Error("no key");
    const counter = member.counter++;
    return seal(key, { sender: member.instance, receiver: INSTANCE }, { worker: 0, counter }, parts);
  }

  #fromMember(name: MemberName, parts: readonly Uint8Array[]): Promise<void> {
    const datagram = this.#seal(name, parts);
    this.#members[name].last = datagram;
    return this.#datagram(name, datagram);
  }

  #datagram(name: MemberName, datagram: Buffer): Promise<void> {
    return this.#packet(() => this.#members[name].endpoint.send(this.#mesh.local, datagram));
  }

  /** Every packet is counted: relayed, dropped, handed up, sent or received over the mesh. */
  async #packet(deliver: () => Promise<void>): Promise<void> {
    const count = () => {
      const counters = this.#harness.plane.counters();
      return packetsOf(counters) + counters.mesh.packetsSent + counters.mesh.packetsReceived;
    };
    const before = count();
    await deliver();
    while (count() === before) await new Promise(setImmediate);
  }

  #sockets(): [string, UdpEndpoint][] {
    const { M, N } = this.#members;
    return Object.entries({ ...this.#clients, P: this.#peer, M: M.endpoint, N: N.endpoint });
  }

  /** What has come out of the data plane since the last look. */
  async #look(): Promise<string[]> {
    const seen: string[] = [];
    for (const [name, endpoint] of this.#sockets()) {
      await endpoint.send(endpoint.address, MARKER);
      for (;;) {
        const { data, from } = await endpoint.next();
        if (data.toString() === MARKER) break;
        seen.push(`${name} from ${this.#nameOf(from)}: ${this.#describe(name, data)}`);
      }
    }
    // A bind's answer comes in a turn of its own, and one in the turn after this would be missed.
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
    for (const event of this.#events.splice(0)) seen.push(this.#describeEvent(event));
    return seen;
  }

  #describe(name: string, data: Buffer): string {
    if (name !== "M" && name !== "N") return this.#describeMessage(data);
    const { instance } = this.#members[name];
    const frame = KEY && openSealed(KEY.key, instance, data);
    const read = frame && readFrame(frame);
    return read === undefined ? `not sealed for it: ${data.toString("hex")}` : this.#describeFrame(read);
  }

  #describeFrame(frame: MeshFrame): string {
    const bytes = this.#describeMessage(frame.bytes);
    if (frame.kind === "control") return `control ${bytes}`;
    if (frame.kind === "peer-packet") return `peer-packet of ${this.#nameOf(frame.peer)} ${bytes}`;
    return `${frame.kind} ${this.#nameOf(frame.client)} ${bytes}`;
  }

  /** Transaction ids are random. */
  #describeMessage(bytes: Buffer): string {
    const indication = dataIndication(bytes);
    if (indication !== undefined) return `Data of ${this.#nameOf(indication.peer)} ${indication.data}`;
    if (bytes.length >= 20 && bytes.readUInt8(0) === 0) return `STUN ${bytes.readUInt16BE(0)}`;
    return bytes.toString("latin1");
  }

  #describeEvent(event: DataPlaneEvent): string {
    if (event.type !== "client-input") return JSON.stringify(event);
    const bytes = this.#describeMessage(Buffer.from(event.bytes));
    return `up from ${this.#nameOf(event.client.remote)} via ${event.via ?? "nobody"} ${bytes}`;
  }

  #tuple(client: ClientName): ClientTuple {
    return { listener: this.#listener.id, remote: this.#clients[client].address };
  }

  #nameOf({ port }: TransportAddress): string {
    const own: [string, TransportAddress][] = [
      ["listener", this.#listener.local],
      ["mesh", this.#mesh.local],
      ["relay", this.#relayed],
      ...this.#sockets().map(([name, { address }]): [string, TransportAddress] => [name, address]),
    ];
    return own.find(([, address]) => address.port === port)?.[0] ?? "nobody";
  }
}
