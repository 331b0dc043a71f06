import {
  type Heartbeat,
  type KeeperOutput,
  type LeaseTimes,
  type Reach,
  type RelayIdentity,
  SlotKeeper,
  type SlotKeeperConfig,
  type SlotName,
} from "@culvert/fleet";
import type { FleetStore, RelayEntry, SlotState } from "@culvert/state";
import type { Logger } from "@culvert/telemetry";
import type { FleetTime } from "./fleet-time.ts";
import { Timer } from "./timer.ts";
import { within } from "./within.ts";

/** What becomes of this relay's slots, for whom it concerns. */
export interface SlotSink {
  deadline(output: KeeperOutput & { readonly type: "deadline" }): void;
  gained(output: KeeperOutput & { readonly type: "gained" }): void;
  lost(output: KeeperOutput & { readonly type: "lost" }): void;
  lapsed(slot: SlotName): void;
  resumed(slot: SlotName): void;
  displaced(slot: SlotName): void;
  republish(slots: readonly SlotName[]): void;
}

/** What else comes of the leases. */
export interface FleetSink {
  beat(): void;
  view(relays: readonly RelayEntry[], slots: readonly SlotState[] | undefined): void;
  renewed(ok: boolean, seconds: number): void;
}

export interface LeaseLoopOptions {
  readonly store: FleetStore;
  readonly self: RelayIdentity;
  readonly times: LeaseTimes;
  readonly failover: SlotKeeperConfig["failover"];
  readonly maxSlots: number | undefined;
  readonly time: FleetTime;
  readonly logger: Logger;
  /** What the registry says of this relay now. */
  readonly entry: () => Omit<RelayEntry, "identity" | "instance" | "host" | "sentAt" | "contact">;
  readonly slots: SlotSink;
  readonly fleet: FleetSink;
}

/** Runs the slot keeper on the store. */
export class LeaseLoop {
  readonly #options: LeaseLoopOptions;
  readonly #keeper: SlotKeeper;
  readonly #timer: Timer;
  readonly #unwatch: () => void;
  readonly #releasing = new Set<Promise<void>>();
  #started = false;
  #running = false;
  #stopped = false;

  constructor(options: LeaseLoopOptions) {
    const { self, times, failover, maxSlots, store, time } = options;
    this.#options = options;
    this.#keeper = new SlotKeeper({ ...self, times, failover, ...(maxSlots === undefined ? {} : { maxSlots }) });
    this.#timer = new Timer(time.clock, () => this.#input((keeper, now) => keeper.handleTimeout(now)));
    this.#unwatch = store.onHealthChange(({ up }) =>
      this.#input((keeper, now) => {
        if (!up) keeper.handleDisconnected(now);
        else keeper.look(now);
      }),
    );
  }

  /** Begins, once the clock is set to fleet time. Nothing that comes before says anything. */
  start(reach: Reach): void {
    this.#started = true;
    this.#input((keeper, now) => keeper.start(reach, now));
  }

  setReach(reach: Reach): void {
    this.#input((keeper, now) => keeper.setReach(reach, now));
  }

  /** Something was handed over, or may be. */
  look(): void {
    this.#input((keeper, now) => keeper.look(now));
  }

  /** Renews now: what the registry says of this relay has changed. */
  renew(): void {
    this.#input((keeper, now) => keeper.renew(now));
  }

  hear(heartbeat: Heartbeat): void {
    this.#input((keeper, now) => keeper.handleHeartbeat(heartbeat, now));
  }

  epochOf(slot: SlotName): number | undefined {
    return this.#keeper.epochOf(slot);
  }

  get reachesStore(): boolean {
    return this.#keeper.reachesStore;
  }

  get settled(): boolean {
    return this.#keeper.settled;
  }

  /** Gives a slot up. Nothing may be relayed for it any more. */
  release(slot: SlotName, to?: string): void {
    this.#input((keeper, now) => keeper.release(slot, to, now));
  }

  /** Gives all slots up. Resolves when the store knows, or does not answer in time. */
  async stop(): Promise<void> {
    this.#unwatch();
    this.#timer.stop();
    this.#input((keeper, now) => keeper.stop(now));
    this.#stopped = true;
    this.#timer.stop();
    await Promise.all(this.#releasing);
    const { store, self, times } = this.#options;
    await within(store.unregister(self.identity, self.instance), times.timeout).catch(() => {});
  }

  #input(handle: (keeper: SlotKeeper, now: number) => void): void {
    if (!this.#started || this.#stopped) return;
    const { time } = this.#options;
    this.#keeper.setOffset(time.offset);
    handle(this.#keeper, time.clock());
    // What a sink does may lead back here; its outputs are taken by the loop that runs already.
    if (this.#running) return;
    this.#running = true;
    try {
      for (let output = this.#keeper.pollOutput(); output !== undefined; output = this.#keeper.pollOutput()) {
        this.#perform(output);
      }
    } finally {
      this.#running = false;
    }
    this.#timer.set(this.#keeper.pollTimeout());
  }

  #perform(output: KeeperOutput): void {
    const { slots, fleet } = this.#options;
    switch (output.type) {
      case "renew":
        void this.#renew(output);
        break;
      case "view":
        void this.#view(output);
        break;
      case "acquire":
        void this.#acquire(output);
        break;
      case "release":
        this.#release(output);
        break;
      case "deadline":
        slots.deadline(output);
        break;
      case "gained":
        slots.gained(output);
        break;
      case "lost":
        slots.lost(output);
        break;
      case "lapsed":
        slots.lapsed(output.slot);
        break;
      case "resumed":
        slots.resumed(output.slot);
        break;
      case "displaced":
        slots.displaced(output.slot);
        break;
      case "republish":
        slots.republish(output.slots);
        break;
      case "beat":
        fleet.beat();
        break;
    }
  }

  async #renew({ id, leases, contact, sentAt }: KeeperOutput & { type: "renew" }): Promise<void> {
    const { store, self, times, time, fleet, entry } = this.#options;
    const sent = time.clock();
    const answered = (result: Awaited<ReturnType<FleetStore["renew"]>>): void => {
      const received = time.clock();
      time.observe(sent, received, result.now);
      fleet.renewed(true, (received - sent) / 1000);
      this.#input((keeper, now) => keeper.handleRenewed(id, result, now));
    };
    try {
      const whole = { ...entry(), ...self, contact, sentAt };
      answered(await within(store.renew(whole, leases, times.ttl), times.timeout, answered));
    } catch {
      fleet.renewed(false, (time.clock() - sent) / 1000);
      this.#input((keeper, now) => keeper.handleRenewFailed(id, now));
    }
  }

  async #view({ sentAt, slots: wantsSlots }: KeeperOutput & { type: "view" }): Promise<void> {
    const { store, fleet, times, logger } = this.#options;
    try {
      const [relays, slots] = await within(
        Promise.all([store.relays(), wantsSlots ? store.slots() : undefined]),
        times.timeout,
      );
      if (this.#stopped) return;
      fleet.view(relays, slots);
      const view = slots === undefined ? { relays } : { relays, slots };
      this.#input((keeper, now) => keeper.handleView(view, sentAt, now));
    } catch (error) {
      logger.debug({ err: error }, "the fleet was not seen");
    }
  }

  async #acquire(output: KeeperOutput & { type: "acquire" }): Promise<void> {
    const { store, self, times, logger } = this.#options;
    try {
      const outcome = await within(
        store.acquire({ slot: output.slot, ...self }, output.rule, times.ttl),
        times.timeout,
      );
      this.#input((keeper, now) => keeper.handleAcquired(output, outcome, now));
    } catch (error) {
      logger.debug({ err: error, slot: output.slot }, "slot not acquired");
      this.#input((keeper, now) => keeper.handleAcquired(output, { ok: "unknown" }, now));
    }
  }

  #release({ lease, to }: KeeperOutput & { type: "release" }): void {
    const { store, self, times, logger } = this.#options;
    const released = within(store.release(lease, self.instance, to), times.timeout).catch((error: unknown) =>
      logger.warn({ err: error, slot: lease.slot }, "slot not released; its lease runs out"),
    );
    this.#releasing.add(released);
    void released.then(() => this.#releasing.delete(released));
  }
}
