import type { SlotName } from "./slots.ts";
import type { Millis } from "./types.ts";

/** Which relay has an allocation. */
export interface TupleOwner {
  readonly identity: string;
  readonly slot: SlotName;
}

export interface DirectoryLimits {
  /** How long an owner is believed before the store is asked again. Packets are forwarded meanwhile. */
  readonly believeMs: number;
  /** How long it is believed that nobody has an allocation. */
  readonly absentMs: number;
  /** 5-tuples that are remembered; the one that was used longest ago makes room. */
  readonly entries: number;
  /** 5-tuples that are looked up at once. */
  readonly lookups: number;
  /** Packets of one 5-tuple that wait for its look-up. */
  readonly waiting: number;
}

export const DIRECTORY_LIMITS: DirectoryLimits = {
  believeMs: 30_000,
  absentMs: 1_000,
  entries: 50_000,
  lookups: 1_024,
  waiting: 8,
};

/** Why a packet for a 5-tuple that is not owned here went nowhere. */
export type RouteDrop = "limited" | "busy" | "queue-full" | "unavailable";

export type Route =
  /** Nobody has an allocation: the own server answers. */
  | { readonly to: "here" }
  /** `ask`: what is known is old, the store is to be asked as well. */
  | { readonly to: "owner"; readonly owner: TupleOwner; readonly ask: boolean }
  /** `ask`: the store is to be asked; otherwise it is being asked. The packet is kept. */
  | { readonly to: "wait"; readonly ask: boolean }
  | { readonly to: "drop"; readonly reason: RouteDrop };

interface Known {
  readonly owner: TupleOwner | undefined;
  readonly until: Millis;
}

/** What `answer` and `fail` give back: the packets that waited, and where they go now. */
export interface Waited<Packet> {
  readonly packets: readonly Packet[];
  readonly owner: TupleOwner | undefined;
}

/**
 * Who owns the 5-tuples whose packets arrive here although their allocations are elsewhere: a cache in front of the
 * store's index. Bounded in all that a stranger can make grow.
 */
export class OwnerDirectory<Packet> {
  readonly #limits: DirectoryLimits;
  readonly #mayAsk: (ip: string, now: Millis) => boolean;
  readonly #known = new Map<string, Known>();
  readonly #asked = new Map<string, Packet[]>();

  /** @param mayAsk limits the look-ups that one source causes */
  constructor(mayAsk: (ip: string, now: Millis) => boolean, limits: DirectoryLimits = DIRECTORY_LIMITS) {
    this.#limits = limits;
    this.#mayAsk = mayAsk;
  }

  get size(): number {
    return this.#known.size;
  }

  /** A packet of a client without an allocation here. */
  route(tuple: string, ip: string, packet: Packet, now: Millis): Route {
    const known = this.#known.get(tuple);
    if (known !== undefined && (known.owner !== undefined || now < known.until)) {
      this.#known.delete(tuple);
      this.#known.set(tuple, known);
      if (known.owner === undefined) return { to: "here" };
      const ask = now >= known.until && this.#ask(tuple);
      return { to: "owner", owner: known.owner, ask };
    }
    const waiting = this.#asked.get(tuple);
    if (waiting !== undefined) {
      if (waiting.length >= this.#limits.waiting) return { to: "drop", reason: "queue-full" };
      waiting.push(packet);
      return { to: "wait", ask: false };
    }
    if (!this.#mayAsk(ip, now)) return { to: "drop", reason: "limited" };
    if (!this.#ask(tuple)) return { to: "drop", reason: "busy" };
    this.#asked.get(tuple)?.push(packet);
    return { to: "wait", ask: true };
  }

  /** The owner, if one is believed. */
  peek(tuple: string): TupleOwner | undefined {
    return this.#known.get(tuple)?.owner;
  }

  /** What the store said. */
  answer(tuple: string, owner: TupleOwner | undefined, now: Millis): Waited<Packet> {
    this.learn(tuple, owner, now);
    return { packets: this.#take(tuple), owner };
  }

  /** The store did not answer. What was known before holds for a while longer. */
  fail(tuple: string, now: Millis): Waited<Packet> {
    const owner = this.#known.get(tuple)?.owner;
    if (owner !== undefined) this.learn(tuple, owner, now);
    return { packets: this.#take(tuple), owner };
  }

  /** From the store, or from the relay that has the allocation. */
  learn(tuple: string, owner: TupleOwner | undefined, now: Millis): void {
    const { believeMs, absentMs, entries } = this.#limits;
    this.#known.delete(tuple);
    if (this.#known.size >= entries) {
      const [oldest] = this.#known.keys();
      if (oldest !== undefined) this.#known.delete(oldest);
    }
    this.#known.set(tuple, { owner, until: now + (owner === undefined ? absentMs : believeMs) });
  }

  forget(tuple: string): void {
    this.#known.delete(tuple);
  }

  /** The slot has another owner now. Returns the 5-tuples that were believed to be there. */
  forgetSlot(slot: SlotName): readonly string[] {
    return this.#forgetWhere((owner) => owner.slot === slot);
  }

  /** The relay is gone. Returns the 5-tuples that were believed to be there. */
  forgetRelay(identity: string): readonly string[] {
    return this.#forgetWhere((owner) => owner.identity === identity);
  }

  #forgetWhere(matches: (owner: TupleOwner) => boolean): readonly string[] {
    const forgotten = [...this.#known].filter(([, { owner }]) => owner !== undefined && matches(owner));
    for (const [tuple] of forgotten) this.#known.delete(tuple);
    return forgotten.map(([tuple]) => tuple);
  }

  #ask(tuple: string): boolean {
    if (this.#asked.has(tuple) || this.#asked.size >= this.#limits.lookups) return false;
    this.#asked.set(tuple, []);
    return true;
  }

  #take(tuple: string): readonly Packet[] {
    const packets = this.#asked.get(tuple) ?? [];
    this.#asked.delete(tuple);
    return packets;
  }
}
