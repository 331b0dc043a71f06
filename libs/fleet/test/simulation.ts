import { type KeeperOutput, type LeaseTimes, SlotKeeper, type SlotKeeperConfig } from "@culvert/fleet";
import { createMemoryFleet, type FleetStore, type MemoryFleet, type RelayEntry } from "@culvert/state";
import type { SeededRandom } from "@culvert/testkit";

export const START = Date.UTC(2026, 0, 1);

export interface NodeSpec {
  readonly identity: string;
  readonly host: string;
  readonly own: readonly string[];
  readonly ips?: readonly string[];
  readonly failover?: "identity" | "address";
  readonly maxSlots?: number;
  /** Milliseconds by which the relay's clock is off fleet time. */
  readonly clockError?: number;
  /** How fast its clock runs. */
  readonly rate?: number;
}

export interface WorldOptions {
  readonly times: LeaseTimes;
  readonly random: SeededRandom;
  /** One way between a relay and the store, or another relay. Default: 1 to 10 ms. */
  readonly delay?: () => number;
}

/** A whole fleet on the store's memory implementation, in simulated time: every message is an event. */
export class World {
  readonly times: LeaseTimes;
  readonly random: SeededRandom;
  readonly fleet: MemoryFleet;
  readonly nodes = new Map<string, Node>();
  readonly violations: string[] = [];
  storeUp = true;
  now = START;
  readonly #delay: () => number;
  readonly #events: { readonly at: number; readonly order: number; readonly run: () => unknown }[] = [];
  readonly #cutPairs = new Set<string>();
  #order = 0;

  constructor({ times, random, delay }: WorldOptions) {
    this.times = times;
    this.random = random;
    this.#delay = delay ?? (() => 1 + random.int(10));
    this.fleet = createMemoryFleet(() => this.now);
  }

  /** Starts a relay, in place of one that has the same name. */
  start(name: string, spec: NodeSpec): Node {
    this.nodes.get(name)?.kill();
    const node = new Node(this, spec);
    this.nodes.set(name, node);
    node.begin();
    return node;
  }

  at(delay: number, run: () => unknown): void {
    const event = { at: this.now + Math.max(0, delay), order: ++this.#order, run };
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#events[middle];
      if (other !== undefined && (other.at > event.at || (other.at === event.at && other.order > event.order)))
        low = middle + 1;
      else high = middle;
    }
    this.#events.splice(low, 0, event);
  }

  /** Lets time pass. */
  async run(milliseconds: number): Promise<void> {
    const end = this.now + milliseconds;
    for (let next = this.#events.at(-1); next !== undefined && next.at <= end; next = this.#events.at(-1)) {
      this.#events.pop();
      this.now = Math.max(this.now, next.at);
      await next.run();
    }
    this.now = end;
  }

  /** Lets time pass until something is so. Returns how long it took. */
  async until(condition: () => boolean, atMost: number): Promise<number> {
    const began = this.now;
    while (!condition()) {
      if (this.now - began > atMost) throw new Error(`not within ${atMost} ms`);
      await this.run(5);
    }
    return this.now - began;
  }

  delay(): number {
    return this.#delay();
  }

  cut(a: string, b: string, isCut: boolean): void {
    const pair = [a, b].sort().join(" ");
    if (isCut) this.#cutPairs.add(pair);
    else this.#cutPairs.delete(pair);
  }

  isCut(a: string, b: string): boolean {
    return this.#cutPairs.has([a, b].sort().join(" "));
  }

  /** Who relays for the slot now. */
  relaying(slot: string): Node[] {
    return [...this.nodes.values()].filter((node) => node.relays(slot));
  }

  judge(slot: string): void {
    const relaying = this.relaying(slot);
    const hosts = new Set(relaying.map(({ spec }) => spec.host));
    if (hosts.size < 2) return;
    const who = relaying.map(({ spec, instance }) => `${spec.identity} (${instance}, ${spec.host})`).join(" and ");
    this.violations.push(`${this.now - START} ms: ${who} both relay for ${slot}`);
  }
}

/** One relay: a slot keeper, its connection to the store, its mesh, its data plane. */
export class Node {
  readonly spec: NodeSpec;
  readonly instance: string;
  readonly keeper: SlotKeeper;
  /** What the connection to the store is like: open, refused, or silent. */
  link: "up" | "refused" | "silent" = "up";
  alive = true;
  readonly log: KeeperOutput[] = [];
  readonly #world: World;
  readonly #store: FleetStore;
  /** The data plane: deadlines by slot, on the own clock. */
  readonly #deadlines = new Map<string, number>();
  #stalledUntil = 0;
  #timerAt = Number.POSITIVE_INFINITY;
  readonly #waiting: (() => void)[] = [];

  constructor(world: World, spec: NodeSpec) {
    this.#world = world;
    this.spec = spec;
    this.instance = Buffer.from(world.random.bytes(4)).toString("hex");
    this.#store = world.fleet.connect();
    const config: SlotKeeperConfig = {
      identity: spec.identity,
      instance: this.instance,
      host: spec.host,
      times: world.times,
      failover: spec.failover ?? "address",
      ...(spec.maxSlots === undefined ? {} : { maxSlots: spec.maxSlots }),
    };
    this.keeper = new SlotKeeper(config);
  }

  get clock(): number {
    const { rate = 1, clockError = 0 } = this.spec;
    return START + (this.#world.now - START) * rate + clockError;
  }

  begin(): void {
    const { own, ips = own.map((slot) => slot.split("/", 1)[0] ?? "") } = this.spec;
    this.input(() => this.keeper.start({ own, ips: new Set(ips) }, this.clock));
    this.#beat();
  }

  kill(): void {
    this.alive = false;
    this.#deadlines.clear();
  }

  stall(milliseconds: number): void {
    this.#stalledUntil = Math.max(this.#stalledUntil, this.#world.now + milliseconds);
  }

  relays(slot: string): boolean {
    return this.alive && (this.#deadlines.get(slot) ?? 0) > this.clock;
  }

  /** All that reaches the process comes through here: a stalled one hears of it later. */
  input(handle: () => void): void {
    if (!this.alive) return;
    if (this.#world.now < this.#stalledUntil) {
      this.#waiting.push(handle);
      if (this.#waiting.length === 1) this.#world.at(this.#stalledUntil - this.#world.now, () => this.#wake());
      return;
    }
    handle();
    this.#carryOut();
  }

  #wake(): void {
    for (const handle of this.#waiting.splice(0)) this.input(handle);
  }

  #carryOut(): void {
    for (let output = this.keeper.pollOutput(); output !== undefined; output = this.keeper.pollOutput()) {
      this.log.push(output);
      this.#perform(output);
    }
    const due = this.keeper.pollTimeout();
    if (due === undefined) return;
    const at = this.#world.now + Math.max(0, (due - this.clock) / (this.spec.rate ?? 1)) + 0.001;
    if (this.#timerAt > this.#world.now && this.#timerAt <= at) return;
    this.#timerAt = at;
    this.#world.at(at - this.#world.now, () => {
      if (this.#timerAt !== at) return;
      this.#timerAt = Number.POSITIVE_INFINITY;
      this.input(() => this.keeper.handleTimeout(this.clock));
    });
  }

  #perform(output: KeeperOutput): void {
    const { keeper } = this;
    switch (output.type) {
      case "renew": {
        const entry = this.#entry(output);
        this.#ask(
          () => this.#store.renew(entry, output.leases, this.#world.times.ttl),
          (result) => keeper.handleRenewed(output.id, result, this.clock),
          () => keeper.handleRenewFailed(output.id, this.clock),
        );
        break;
      }
      case "view":
        this.#ask(
          async () => ({
            relays: await this.#store.relays(),
            ...(output.slots ? { slots: await this.#store.slots() } : {}),
          }),
          (view) => keeper.handleView(view, output.sentAt, this.clock),
        );
        break;
      case "acquire": {
        const { slot } = output;
        const { identity, host } = this.spec;
        const claim = { slot, identity, host, instance: this.instance };
        this.#ask(
          () => this.#store.acquire(claim, output.rule, this.#world.times.ttl),
          (outcome) => keeper.handleAcquired(output, outcome, this.clock),
          () => keeper.handleAcquired(output, { ok: "unknown" }, this.clock),
        );
        break;
      }
      case "release":
        this.#ask(
          () => this.#store.release(output.lease, this.instance, output.to),
          () => {},
        );
        break;
      case "gained":
      case "deadline":
        this.#deadlines.set(output.slot, output.deadline);
        this.#world.judge(output.slot);
        break;
      case "lost":
        this.#deadlines.delete(output.slot);
        break;
      case "displaced":
        this.input(() => keeper.release(output.slot, undefined, this.clock));
        break;
      case "beat":
        this.#tell();
        break;
      default:
        break;
    }
  }

  #entry({ contact, sentAt }: KeeperOutput & { type: "renew" }): RelayEntry {
    const { identity, host } = this.spec;
    const load = { allocations: 0, capacity: 100, draining: false };
    return { identity, host, instance: this.instance, turn: [], load, startedAt: START, contact, sentAt };
  }

  /** A question to the store: it may be lost on the way there or back, and be carried out all the same. */
  #ask<T>(question: () => Promise<T>, answered: (result: T) => void, failed: () => void = () => {}): void {
    const world = this.#world;
    if (this.link === "refused" || (!world.storeUp && world.random.chance(0.5))) {
      world.at(1, () => this.input(failed));
      return;
    }
    let settled = false;
    world.at(world.times.timeout, () => {
      if (!settled) this.input(failed);
    });
    world.at(world.delay(), async () => {
      if (this.link !== "up" || !world.storeUp) return;
      const result = await question();
      world.at(world.delay(), () => {
        if (this.link !== "up") return;
        settled = true;
        this.input(() => answered(result));
      });
    });
  }

  #beat(): void {
    if (!this.alive) return;
    if (this.#world.now >= this.#stalledUntil) this.#tell();
    this.#world.at(this.#world.times.heartbeat, () => this.#beat());
  }

  #tell(): void {
    const world = this.#world;
    const heartbeat = {
      identity: this.spec.identity,
      instance: this.instance,
      sentAt: this.clock,
      reachesStore: this.keeper.reachesStore,
      leaving: false,
    };
    for (const other of world.nodes.values()) {
      if (other === this || world.isCut(this.spec.identity, other.spec.identity)) continue;
      world.at(world.delay(), () => other.input(() => other.keeper.handleHeartbeat(heartbeat, other.clock)));
    }
  }
}
