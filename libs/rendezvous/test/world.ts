import { createHmac } from "node:crypto";
import {
  type ClientData,
  type ClientType,
  DEFAULT_LIMITS,
  Hub,
  type HubEvent,
  type HubOutput,
  type Limits,
  type Principal,
  type ResumeSigner,
} from "@culvert/rendezvous";

/** A message as a client sees it. */
export interface Received {
  readonly v: number;
  readonly id?: string;
  readonly type: string;
  readonly seq: number;
  readonly ack: number;
  readonly to?: string;
  readonly from?: string;
  readonly room?: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface Hello {
  readonly sessionId: string;
  readonly address: string;
  readonly epoch: number;
  readonly resumeToken: string;
  readonly resumed: boolean;
  readonly gap: boolean;
  readonly rooms: readonly string[];
}

const mac = (kid: string, text: string): string =>
  createHmac("sha256", `secret of ${kid}`).update(text).digest("base64url");

/** Each tenant has one key, `key-<tenant>`. */
const signer: ResumeSigner = {
  sign: (tenant, text) => ({ kid: `key-${tenant}`, mac: mac(`key-${tenant}`, text) }),
  verify: (tenant, kid, text, given) => kid === `key-${tenant}` && given === mac(kid, text),
};

/** A deterministic generator (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

interface Parcel {
  readonly from: string;
  readonly to: string;
  readonly text: string;
}

/** Replicas joined by a bus, with clients, in virtual time. */
export class World {
  now = 1_700_000_000_000;
  readonly replicas = new Map<string, Replica>();
  readonly #limits: Limits;
  readonly #random: () => number;
  #bus: Parcel[] = [];
  /** Decides which bus frames get lost. */
  loses: (parcel: Parcel) => boolean = () => false;
  /** While true, frames wait on the bus. */
  busHeld = false;

  constructor(limits: Partial<Limits> = {}, seed = 1) {
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
    this.#random = seededRandom(seed);
  }

  replica(name = "r1"): Replica {
    const known = this.replicas.get(name);
    if (known !== undefined) return known;
    const random = {
      bytes: (count: number) => Uint8Array.from({ length: count }, () => Math.floor(this.#random() * 256)),
    };
    const config = { replica: name, limits: this.#limits, beaconMs: 1000, replicaTimeoutMs: 5000, retransmitMs: 500 };
    const replica = new Replica(this, name, new Hub(config, { random, signer }));
    this.replicas.set(name, replica);
    replica.hub.start(this.now);
    this.settle();
    return replica;
  }

  /** Lets everything happen that happens without time. */
  settle(): void {
    for (let busy = true; busy; ) {
      busy = false;
      for (const replica of this.replicas.values()) busy = replica.drain() || busy;
      if (this.busHeld) continue;
      const parcels = this.#bus;
      this.#bus = [];
      for (const parcel of parcels) {
        if (this.loses(parcel)) continue;
        busy = true;
        for (const replica of this.replicas.values()) {
          if (replica.name === parcel.from || (parcel.to !== "*" && parcel.to !== replica.name)) continue;
          replica.hub.handleBus(parcel.text, this.now);
        }
      }
    }
  }

  /** Moves time on, stopping at every deadline. */
  advance(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      this.settle();
      const due = [...this.replicas.values()].map(({ hub }) => hub.pollTimeout() ?? Number.POSITIVE_INFINITY);
      const next = Math.min(...due);
      if (next > end) break;
      this.now = Math.max(this.now, next);
      for (const { hub } of this.replicas.values()) hub.handleTimeout(this.now);
    }
    this.now = end;
    this.settle();
  }

  /** The replica is gone from one moment to the next. */
  kill(name: string): void {
    this.replicas.delete(name);
    this.#bus = this.#bus.filter(({ from }) => from !== name);
  }

  post(parcel: Parcel): void {
    this.#bus.push(parcel);
  }

  get onBus(): number {
    return this.#bus.length;
  }
}

/** Tokens of the tests: `<tenant>:<user>`, optionally `:<seconds to live>`. */
function principalOf(token: string, now: number): Principal | undefined {
  const [tenant, user, seconds = "3600"] = token.split(":");
  if (tenant === undefined || user === undefined || tenant === "") return undefined;
  return { tenant, user, kid: `key-${tenant}`, issuedAt: now, expiresAt: now + Number(seconds) * 1000 };
}

export class Replica {
  readonly world: World;
  readonly name: string;
  readonly hub: Hub;
  readonly events: HubEvent[] = [];
  readonly #clients = new Map<number, Client>();
  #connections = 0;

  constructor(world: World, name: string, hub: Hub) {
    this.world = world;
    this.name = name;
    this.hub = hub;
  }

  /** A connection that has not said hello. */
  connect(): Client {
    this.#connections++;
    const client = new Client(this, this.#connections);
    this.#clients.set(this.#connections, client);
    this.hub.handleOpen(this.#connections, this.world.now);
    this.world.settle();
    return client;
  }

  /** A connection with a session of `token`. */
  join(token: string): Client {
    const client = this.connect();
    client.hello({ auth: token });
    return client;
  }

  /** Reasons of what was refused, oldest first. */
  get refusals(): string[] {
    return this.events.flatMap((event) => (event.name === "refused" ? [event.reason] : []));
  }

  drain(): boolean {
    let busy = false;
    for (let output = this.hub.pollOutput(); output !== undefined; output = this.hub.pollOutput()) {
      busy = true;
      this.#perform(output);
    }
    return busy;
  }

  #perform(output: HubOutput): void {
    switch (output.kind) {
      case "send":
        this.#clients.get(output.connection)?.take(output.text);
        return;
      case "close": {
        const client = this.#clients.get(output.connection);
        if (client !== undefined) client.closed = { code: output.code, reason: output.reason };
        return;
      }
      case "verify": {
        const principal = principalOf(output.token, this.world.now);
        const result =
          principal === undefined ? ({ ok: false, reason: "bad-token" } as const) : ({ ok: true, principal } as const);
        this.hub.handleVerified(output.id, result, this.world.now);
        return;
      }
      case "bus":
        this.world.post({ from: this.name, to: output.to, text: output.text });
        return;
      case "event":
        this.events.push(output.event);
    }
  }
}

export interface SendOptions {
  readonly id?: string;
  readonly to?: string;
  readonly from?: string;
  readonly room?: string;
  readonly seq?: number;
  readonly ack?: number;
}

const CONTROL: ReadonlySet<string> = new Set(["hello", "ack", "ping", "bye"]);

/** A client that counts as the protocol asks, and acknowledges what it got with each message it sends. */
export class Client {
  readonly replica: Replica;
  readonly id: number;
  readonly received: Received[] = [];
  closed: { readonly code: number; readonly reason: string } | undefined;
  #hello: Received | undefined;
  seq = 0;
  /** The highest `seq` from the server. */
  lastSeq = 0;

  constructor(replica: Replica, id: number) {
    this.replica = replica;
    this.id = id;
  }

  take(text: string): void {
    const message: Received = JSON.parse(text);
    this.received.push(message);
    if (message.type === "hello") this.#hello = message;
    this.lastSeq = Math.max(this.lastSeq, message.seq);
  }

  raw(text: string): void {
    this.replica.hub.handleText(this.id, text, this.replica.world.now);
    this.replica.world.settle();
  }

  hello(data: ClientData["hello"]): void {
    this.send("hello", data);
  }

  send<Type extends ClientType>(type: Type, data: ClientData[Type], options: SendOptions = {}): void {
    this.sendAny(type, data, options);
  }

  sendAny(type: string, data: unknown, options: SendOptions = {}): void {
    const control = CONTROL.has(type);
    if (!control && options.seq === undefined) this.seq++;
    this.raw(JSON.stringify({ v: 1, type, seq: control ? 0 : this.seq, ack: this.lastSeq, data, ...options }));
  }

  /** Another connection of the same client, to any replica. */
  resume(
    replica: Replica,
    data: { readonly auth?: string; readonly lastSeq?: number; readonly token?: string } = {},
  ): Client {
    const next = replica.connect();
    next.seq = this.seq;
    next.lastSeq = this.lastSeq;
    const { auth, lastSeq = this.lastSeq, token = this.session.resumeToken } = data;
    next.hello({ resume: token, lastSeq, ...(auth === undefined ? {} : { auth }) });
    return next;
  }

  /** The network is gone. */
  cut(clean = false): void {
    this.replica.hub.handleClosed(this.id, clean, this.replica.world.now);
    this.replica.world.settle();
  }

  of(type: string): Received[] {
    return this.received.filter((message) => message.type === type);
  }

  /** The codes of the errors received. */
  get errors(): unknown[] {
    return this.of("error").map(({ data }) => data.code);
  }

  get session(): Hello {
    const data = this.#hello?.data;
    if (data === undefined)
      throw new Error(`no hello: ${JSON.stringify(this.received)} ${JSON.stringify(this.closed)}`);
    return {
      sessionId: String(data.sessionId),
      address: String(data.address),
      epoch: Number(data.epoch),
      resumeToken: String(data.resumeToken),
      resumed: data.resumed === true,
      gap: data.gap === true,
      rooms: Array.isArray(data.rooms) ? data.rooms.map(String) : [],
    };
  }

  get address(): string {
    return this.session.address;
  }

  /** The `attemptId`s, or bodies, of what peers sent: a trace of deliveries. */
  get deliveries(): unknown[] {
    return this.received.filter(({ from }) => from !== undefined).map(({ data }) => data.attemptId ?? data.body);
  }

  clear(): void {
    this.received.length = 0;
  }
}
