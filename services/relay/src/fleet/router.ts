import type { DataPlane, DataPlaneEvent } from "@culvert/dataplane";
import { encodeControl, OwnerDirectory, type RouteDrop, type TupleOwner } from "@culvert/fleet";
import type { FleetStore } from "@culvert/state";
import { Attr, beginsAsChannelData, decodeMessage, type StunCrypto } from "@culvert/stun";
import { type ClientTuple, readTicket, type TurnServer } from "@culvert/turn";
import type { FleetTime } from "./fleet-time.ts";
import type { Frontends } from "./frontends.ts";
import type { Peers } from "./peers.ts";

/** How long packets of a client go to its owner in the fast path before the control path looks again, in ms. */
const ENTRY_MS = 30_000;
/** Allocate requests that are remembered while the store is asked about them. */
const MAX_ALLOCATES = 2_048;

/**
 * How long after a restore the data that comes up to the control path is old, in ms: it has waited there since before, and
 * newer data of its client has gone past it by the fast path.
 */
const STALE_MS = 1_000;

/**
 * How long a relay that is gone may be about to return, or its slots to be taken over, in ms. A 437 meanwhile would end
 * calls that go on.
 */
const RETURN_MS = 5_000;

const BINDING = 0x001;
const ALLOCATE = 0x003;
const REFRESH = 0x004;
const SEND = 0x006;

type ClientInput = Extract<DataPlaneEvent, { readonly type: "client-input" }>;

export interface RouterOptions {
  readonly dataPlane: Pick<DataPlane, "apply">;
  readonly store: Pick<FleetStore, "byTuple" | "get">;
  readonly frontends: Frontends;
  readonly peers: Peers;
  readonly time: FleetTime;
  readonly crypto: StunCrypto;
  readonly identity: string;
  readonly ticketKeys: () => readonly Uint8Array[];
  readonly mayAsk: (ip: string, now: number) => boolean;
  /** Whether there are slots whose allocations may not be here yet. */
  readonly restoring: () => boolean;
  /** Hands a packet that waited to the own server. */
  readonly deliver: (client: ClientTuple, bytes: Uint8Array) => void;
}

/** Why a packet without an owner here went nowhere. Each is a counter. */
export type RouterDrop = RouteDrop | "restoring" | "stopping" | "stale" | "not-mine" | "no-peer";
export const ROUTER_DROPS: readonly RouterDrop[] = [
  /** Its source asks too often whose 5-tuples are. */
  "limited",
  /** Too many look-ups are under way. */
  "busy",
  /** Too much waits for this look-up. */
  "queue-full",
  /** The store did not answer. */
  "unavailable",
  "restoring",
  /** This relay ends, and what it would answer could not be written any more. */
  "stopping",
  "stale",
  "not-mine",
  "no-peer",
];

export interface RouterCounters {
  lookups: number;
  failedLookups: number;
  forwarded: number;
  readonly drops: Map<RouterDrop, number>;
}

/** Decides whose a packet is that the own server has no allocation for, and sends it there over the mesh. */
export class Router {
  readonly counters: RouterCounters = { lookups: 0, failedLookups: 0, forwarded: 0, drops: new Map() };
  readonly #options: RouterOptions;
  readonly #directory: OwnerDirectory<ClientInput>;
  /** Clients whose packets go elsewhere in the fast path. */
  readonly #foreign = new Map<string, ClientTuple>();
  readonly #allocates = new Map<string, ClientInput>();
  /** When relays went. */
  readonly #leftAt = new Map<string, number>();
  #staleUntil = Number.NEGATIVE_INFINITY;
  #stopped = false;

  constructor(options: RouterOptions) {
    this.#options = options;
    this.#directory = new OwnerDirectory<ClientInput>(options.mayAsk);
  }

  get known(): number {
    return this.#directory.size;
  }

  /** Whether the packet is taken care of. Otherwise it is the own server's. */
  take(input: ClientInput, turn: Pick<TurnServer, "owns" | "find">, now: number): boolean {
    const { client, bytes, via } = input;
    const method = methodOf(bytes);
    if (method === BINDING) return false;
    if (this.#stopped) return this.#drop("stopping");
    // Thousands of calls send on while they are restored. What is restored takes the fast path.
    if (method === undefined && this.#options.restoring()) return this.#drop("restoring");
    if (turn.owns(client)) {
      const isData = method === undefined || method === SEND;
      return isData && now < this.#staleUntil ? this.#drop("stale") : false;
    }
    const { frontends, restoring, peers } = this.#options;
    const tuple = frontends.tuple(client);
    if (tuple === undefined) return false;
    // It may be in a slot that is being restored: an answer now would end the call.
    if (restoring()) return this.#drop("restoring");
    if (via !== undefined) {
      const owner = this.#directory.peek(tuple);
      if (owner === undefined || owner.identity === this.#options.identity) return false;
      peers.send(via, encodeControl({ type: "not-mine", tuple }));
      return this.#drop("not-mine");
    }
    if (method === ALLOCATE) {
      const owner = this.#directory.peek(tuple);
      if (owner !== undefined && this.#forward(tuple, owner, [input], now)) return true;
      this.#remember(tuple, input);
      return false;
    }
    if (method === REFRESH && this.#hasOwnTicket(bytes, turn, now)) return false;
    const route = this.#directory.route(tuple, client.remote.ip, input, now);
    switch (route.to) {
      case "here":
        return false;
      case "drop":
        return this.#drop(route.reason);
      case "wait":
        if (route.ask) void this.#ask(tuple, input);
        return true;
      case "owner":
        if (route.ask) void this.#ask(tuple, input);
        if (this.#forward(tuple, route.owner, [input], now)) return true;
        return this.#mayReturn(route.owner, now) ? this.#drop("no-peer") : false;
    }
  }

  /** No client is answered any more: what this relay grants from now on nobody would know of. Clients ask again. */
  stop(): void {
    this.#stopped = true;
  }

  /** The store said that the 5-tuple of an Allocate request has an allocation elsewhere. */
  elsewhere(tuple: string, owner: TupleOwner): void {
    const now = this.#options.time.clock();
    this.#directory.learn(tuple, owner, now);
    const input = this.#allocates.get(tuple);
    this.#allocates.delete(tuple);
    if (input !== undefined) this.#forward(tuple, owner, [input], now);
  }

  /** An allocation of another process lives here now. */
  restored(): void {
    this.#staleUntil = this.#options.time.clock() + STALE_MS;
  }

  /** The 5-tuple is the own server's from now on. */
  own(client: ClientTuple): void {
    const tuple = this.#options.frontends.tuple(client);
    if (tuple === undefined) return;
    this.#allocates.delete(tuple);
    this.forget([tuple]);
  }

  /** Whose these are is not known any more. */
  forget(tuples: readonly string[]): void {
    for (const tuple of tuples) {
      this.#directory.forget(tuple);
      const client = this.#foreign.get(tuple);
      if (client === undefined) continue;
      this.#foreign.delete(tuple);
      this.#options.dataPlane.apply([{ type: "revoke", key: { kind: "foreign", client } }]);
    }
  }

  forgetSlots(slots: readonly string[]): void {
    for (const slot of slots) this.forget(this.#directory.forgetSlot(slot));
  }

  forgetRelay(identity: string): void {
    this.#leftAt.set(identity, this.#options.time.clock());
    this.forget(this.#directory.forgetRelay(identity));
  }

  async #ask(tuple: string, input: ClientInput): Promise<void> {
    const { store, time } = this.#options;
    this.counters.lookups++;
    try {
      const record = this.#ticketOf(input.bytes, time.clock());
      const found = record === undefined ? await store.byTuple(tuple) : await store.get(record);
      const owner = found === undefined ? undefined : ownerOf(found);
      const { packets } = this.#directory.answer(tuple, owner, time.clock());
      this.#settle(tuple, owner, packets);
    } catch {
      this.counters.failedLookups++;
      const { packets, owner } = this.#directory.fail(tuple, time.clock());
      if (owner !== undefined) this.#settle(tuple, owner, packets);
      else for (const _ of packets) this.#drop("unavailable");
    }
  }

  #settle(tuple: string, owner: TupleOwner | undefined, packets: readonly ClientInput[]): void {
    const { deliver, identity, time } = this.#options;
    if (owner !== undefined && owner.identity !== identity) {
      if (this.#forward(tuple, owner, packets, time.clock())) return;
      if (this.#mayReturn(owner, time.clock())) {
        for (const _ of packets) this.#drop("no-peer");
        return;
      }
    }
    for (const { client, bytes } of packets) deliver(client, bytes);
  }

  /** False where the owner is not there: nobody answers the client but the own server. */
  #forward(tuple: string, owner: TupleOwner, packets: readonly ClientInput[], now: number): boolean {
    const { peers, dataPlane, identity } = this.#options;
    if (owner.identity === identity) return false;
    const peer = peers.idOf(owner.identity);
    if (peer === undefined) return false;
    this.counters.forwarded += packets.length;
    const [first] = packets;
    if (first === undefined) return true;
    const { client } = first;
    this.#foreign.set(tuple, client);
    dataPlane.apply([
      { type: "upsert", entry: { kind: "foreign", client, peer, deadline: now + ENTRY_MS } },
      ...packets.map(({ bytes }) => ({ type: "forward", peer, client, bytes }) as const),
    ]);
    return true;
  }

  #mayReturn({ identity }: TupleOwner, now: number): boolean {
    const left = this.#leftAt.get(identity);
    return left !== undefined && now - left < RETURN_MS;
  }

  /** An allocation of this server that a client at a new 5-tuple claims with its ticket (RFC 8016). */
  #hasOwnTicket(bytes: Uint8Array, turn: Pick<TurnServer, "find">, now: number): boolean {
    const record = this.#ticketOf(bytes, now);
    return record !== undefined && turn.find(record) !== undefined;
  }

  #ticketOf(bytes: Uint8Array, now: number): string | undefined {
    if (methodOf(bytes) !== REFRESH) return undefined;
    const decoded = decodeMessage(bytes);
    const ticket = decoded.ok ? decoded.message.get(Attr.MobilityTicket) : undefined;
    if (ticket === undefined || ticket.length === 0) return undefined;
    return readTicket(ticket, this.#options.ticketKeys(), this.#options.crypto, now)?.record;
  }

  #remember(tuple: string, input: ClientInput): void {
    this.#allocates.delete(tuple);
    if (this.#allocates.size >= MAX_ALLOCATES) {
      const [oldest] = this.#allocates.keys();
      if (oldest !== undefined) this.#allocates.delete(oldest);
    }
    this.#allocates.set(tuple, { ...input, bytes: new Uint8Array(input.bytes) });
  }

  #drop(reason: RouterDrop): true {
    const { drops } = this.counters;
    drops.set(reason, (drops.get(reason) ?? 0) + 1);
    return true;
  }
}

function ownerOf(
  found:
    | { readonly identity: string; readonly slot: string }
    | { readonly identity: string; readonly record: { readonly slot: string } },
): TupleOwner {
  return { identity: found.identity, slot: "slot" in found ? found.slot : found.record.slot };
}

/** The method of a STUN message (RFC 8489 section 5); undefined for ChannelData. */
function methodOf(bytes: Uint8Array): number | undefined {
  if (beginsAsChannelData(bytes)) return undefined;
  const type = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
  return (type & 0x000f) | ((type & 0x00e0) >> 1) | ((type & 0x3e00) >> 2);
}
