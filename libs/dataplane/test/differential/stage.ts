import type { BoundListener, DataPlaneEvent } from "@culvert/dataplane";
import { decodeChannelData, type TransportAddress } from "@culvert/stun";
import type { ClientTuple, DataPlaneCommand } from "@culvert/turn";
import { binding, channelData, dataIndication, paddedChannelData, send } from "../contract/messages.ts";
import { StreamEndpoint } from "../contract/stream-endpoint.ts";
import { UdpEndpoint } from "../contract/udp-endpoint.ts";
import type { Harness } from "../contract/world.ts";
import { difference, packetsOf } from "./counted.ts";
import type { ClientName, Known, PeerName, Step } from "./trace.ts";

const LOOPBACK = "127.0.0.1";
/** TEST-NET-3 (RFC 5737): mapped to where the peers are. */
const MAPPED = "203.0.113.5";
const MARKER = "nothing more of this step";

/** Plays traces on one data plane and writes down what can be seen of it, in names instead of addresses. */
export class Stage {
  readonly #harness: Harness;
  readonly #clients: Readonly<Record<"A" | "B", UdpEndpoint>>;
  readonly #stream: StreamEndpoint;
  readonly #peers: Readonly<Record<PeerName, UdpEndpoint>>;
  readonly #relays: readonly TransportAddress[];
  readonly #listeners: Readonly<Record<"udp" | "tcp", BoundListener>>;
  readonly #bound: Set<number> = new Set();
  readonly #events: DataPlaneEvent[] = [];
  #sent: Uint8Array = new Uint8Array();

  private constructor(
    harness: Harness,
    listeners: Readonly<Record<"udp" | "tcp", BoundListener>>,
    endpoints: readonly [UdpEndpoint, UdpEndpoint, UdpEndpoint, UdpEndpoint],
    stream: StreamEndpoint,
    relays: readonly TransportAddress[],
  ) {
    const [A, B, P, Q] = endpoints;
    this.#harness = harness;
    this.#listeners = listeners;
    this.#clients = { A, B };
    this.#peers = { P, Q };
    this.#stream = stream;
    this.#relays = relays;
    harness.plane.onEvents((events) => this.#events.push(...events));
  }

  static async open(harness: Harness): Promise<Stage> {
    const local = { ip: LOOPBACK, port: 0 };
    const listeners = {
      udp: await harness.plane.listen({ id: 1, transport: "udp", local }),
      tcp: await harness.plane.listen({ id: 2, transport: "tcp", local }),
    };
    const udp = () => UdpEndpoint.open(LOOPBACK);
    const [A, B, P, Q, one, two] = await Promise.all([udp(), udp(), udp(), udp(), udp(), udp()]);
    const stream = await StreamEndpoint.connect(listeners.tcp.local);
    await Promise.all([one.close(), two.close()]);
    return new Stage(harness, listeners, [A, B, P, Q], stream, [one.address, two.address]);
  }

  async close(): Promise<void> {
    this.#stream.destroy();
    await this.#harness.plane.close();
    const { A, B } = this.#clients;
    const { P, Q } = this.#peers;
    await Promise.all([A, B, P, Q].map((endpoint) => endpoint.close()));
  }

  /** One line for each step: what the counters, the events and all sockets showed. */
  async play(steps: readonly Step[]): Promise<string[]> {
    const lines: string[] = [];
    // The stream is taken up before what happens to it counts.
    await this.#packet(() => this.#stream.write(this.#keep(binding())));
    await this.#look();
    for (const step of steps) {
      const before = this.#harness.plane.counters();
      await this.#take(step);
      const seen = await this.#look();
      lines.push(JSON.stringify({ step, counted: difference(before, this.#harness.plane.counters()), seen }));
    }
    lines.push(JSON.stringify(this.#relays.map((_, relay) => this.#harness.plane.relayCounters(relay) ?? null)));
    return lines;
  }

  async #take(step: Step): Promise<void> {
    switch (step.type) {
      case "advance":
        await this.#harness.advance(step.ms);
        return;
      case "channel-data": {
        const data = payload(step.size);
        const encode = step.client === "T" ? paddedChannelData : channelData;
        return this.#fromClient(step.client, encode(step.channel, data), channelData(step.channel, data));
      }
      case "send":
        return this.#fromClient(step.client, send(this.#known(step.known, step.peer), payload(step.size)));
      case "binding":
        return this.#fromClient(step.client, binding());
      case "damaged": {
        const whole = step.channelData ? channelData(0x4000, payload(20)) : send(this.#known("own", "P"), payload(20));
        // The peer's address stays: another one could be anybody's.
        const at = !step.channelData && step.at >= 24 && step.at < 32 ? 33 : step.at % whole.length;
        whole[at] = (whole[at] ?? 0) ^ step.flip;
        return this.#fromClient(step.client, whole);
      }
      case "raw":
        return this.#fromClient(step.client, step.bytes);
      case "from-peer": {
        const to = this.#relays[step.relay];
        if (to === undefined || !this.#bound.has(step.relay)) return;
        return this.#packet(() => this.#peers[step.peer].send(to, payload(step.size)));
      }
      case "to-peer": {
        const { relay } = step;
        const peer = this.#known(step.known, step.peer);
        return this.#packet(async () => {
          this.#apply({ type: "send", to: "peer", relay, peer, bytes: payload(step.size) });
        });
      }
      default:
        this.#command(step);
    }
  }

  #command(step: Exclude<Step, { type: "advance" | "raw" | "damaged" | "binding" | "from-peer" | "to-peer" }>): void {
    const deadline = (lifetime: number) => this.#harness.now() + lifetime;
    const { relay } = "relay" in step ? step : { relay: 0 };
    switch (step.type) {
      case "bind": {
        this.#bound.add(relay);
        this.#apply({ type: "bind", relay, local: this.#relays[relay] ?? { ip: LOOPBACK, port: 0 } });
        break;
      }
      case "unbind":
        this.#bound.delete(relay);
        this.#apply({ type: "unbind", relay });
        break;
      case "allocate": {
        const rate = step.rate === undefined ? {} : { maxBytesPerSecond: step.rate };
        const client = this.#tuple(step.client);
        const entry = { kind: "allocation", relay, client, family: 4, deadline: deadline(step.lifetime) } as const;
        this.#apply({ type: "upsert", entry: { ...entry, ...rate } });
        break;
      }
      case "permit": {
        const ports = step.only && { min: this.#port(step.only), max: this.#port(step.only) };
        const entry = {
          kind: "permission",
          relay,
          ...ip(step.known),
          deadline: deadline(step.lifetime),
          ...(ports && { ports }),
          ...(step.except && { exceptPorts: [this.#port(step.except)] }),
        } as const;
        this.#apply({ type: "upsert", entry });
        break;
      }
      case "channel": {
        const { channel } = step;
        const { wireIp } = ip(step.known);
        const peer = this.#known(step.known, step.peer);
        const entry = { kind: "channel", relay, channel, peer, wireIp, deadline: deadline(step.lifetime) } as const;
        this.#apply({ type: "upsert", entry });
        break;
      }
      case "revoke-permission":
        this.#apply({ type: "revoke", key: { kind: "permission", relay, ip: ip(step.known).ip } });
        break;
      case "revoke-channel":
        this.#apply({ type: "revoke", key: { kind: "channel", relay, channel: step.channel } });
        break;
    }
  }

  #apply(command: DataPlaneCommand): void {
    this.#harness.plane.apply([command]);
  }

  #fromClient(client: ClientName, bytes: Uint8Array, handedUp: Uint8Array = bytes): Promise<void> {
    this.#keep(handedUp);
    if (client === "T") return this.#packet(() => this.#stream.write(bytes));
    return this.#packet(() => this.#clients[client].send(this.#listeners.udp.local, bytes));
  }

  #keep(bytes: Uint8Array): Uint8Array {
    this.#sent = bytes;
    return bytes;
  }

  /** Every packet is counted once: relayed, dropped or handed up. */
  async #packet(deliver: () => Promise<void>): Promise<void> {
    const before = packetsOf(this.#harness.plane.counters());
    await deliver();
    while (packetsOf(this.#harness.plane.counters()) === before) await new Promise(setImmediate);
  }

  /** What has come out of the data plane since the last look. */
  async #look(): Promise<string[]> {
    const seen: string[] = [];
    const udp = { ...this.#clients, ...this.#peers };
    for (const [name, endpoint] of Object.entries(udp)) {
      await endpoint.send(endpoint.address, MARKER);
      for (;;) {
        const { data, from } = await endpoint.next();
        if (data.toString() === MARKER) break;
        seen.push(`${name} from ${this.#nameOf(from)}: ${this.#describe(data, name in this.#clients)}`);
      }
    }
    this.#apply({ type: "send", to: "client", client: this.#tuple("T"), bytes: paddedChannelData(0x7ffe, MARKER) });
    for (;;) {
      const frame = await this.#stream.next();
      if (decodeChannelData(frame)?.channel === 0x7ffe) break;
      seen.push(`T: ${this.#describe(frame, true)}`);
    }
    // A bind's answer comes in a turn of its own, and one in the turn after this would be missed.
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
    for (const event of this.#events.splice(0)) seen.push(this.#describeEvent(event));
    return seen;
  }

  #describe(data: Buffer, toClient: boolean): string {
    const indication = toClient ? dataIndication(data) : undefined;
    if (indication !== undefined) return `Data of ${this.#nameOf(indication.peer)} ${indication.data}`;
    return data.toString("latin1");
  }

  #describeEvent(event: DataPlaneEvent): string {
    if (event.type !== "client-input") return JSON.stringify(event);
    const same = Buffer.compare(event.bytes, this.#sent) === 0 ? "as sent" : Buffer.from(event.bytes).toString("hex");
    return `up from ${event.client.listener} ${this.#nameOf(event.client.remote)} ${same}`;
  }

  #tuple(client: ClientName): ClientTuple {
    if (client === "T") return { listener: this.#listeners.tcp.id, remote: this.#stream.address };
    return { listener: this.#listeners.udp.id, remote: this.#clients[client].address };
  }

  #port(peer: PeerName): number {
    return this.#peers[peer].address.port;
  }

  #known(known: Known, peer: PeerName): TransportAddress {
    return { ip: ip(known).ip, port: this.#port(peer) };
  }

  #nameOf({ ip, port }: TransportAddress): string {
    const own: [string, TransportAddress][] = [
      ["udp listener", this.#listeners.udp.local],
      ["A", this.#clients.A.address],
      ["B", this.#clients.B.address],
      ["T", this.#stream.address],
      ["P", this.#peers.P.address],
      ["Q", this.#peers.Q.address],
      ...this.#relays.map((address, relay): [string, TransportAddress] => [`relay ${relay}`, address]),
    ];
    const name = own.find(([, address]) => address.port === port)?.[0] ?? "nobody";
    return ip === LOOPBACK ? name : `${name} as ${ip}`;
  }
}

function ip(known: Known): { readonly ip: string; readonly wireIp: string } {
  return { ip: known === "own" ? LOOPBACK : MAPPED, wireIp: LOOPBACK };
}

function payload(size: number): Buffer {
  return Buffer.alloc(size, "data ");
}
