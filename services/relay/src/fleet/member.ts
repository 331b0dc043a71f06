import type { DataPlane, DataPlaneEvent, OpenMesh } from "@culvert/dataplane";
import type { EventBus, UsageLog } from "@culvert/events";
import { leaseTimes, type Reach, type RelayIdentity, type SlotName } from "@culvert/fleet";
import type { FleetStore, RelayEntry, SlotState } from "@culvert/state";
import type { StunCrypto } from "@culvert/stun";
import type { Logger } from "@culvert/telemetry";
import {
  type Ask,
  type FleetRelay,
  type RandomSource,
  SourceLimiter,
  type TurnEvent,
  type TurnServer,
  type TurnServerConfig,
} from "@culvert/turn";
import type { RelayConfig } from "../config.ts";
import type { ControlHooks, ControlLoop } from "../control-loop.ts";
import type { ListenerSet } from "../listener-set.ts";
import type { RelayedAddresses } from "../relayed-addresses.ts";
import { AddressesHere } from "./addresses-here.ts";
import { Admission, type AdmissionOutcome } from "./admission.ts";
import { AllocationEvents } from "./allocation-events.ts";
import { Answers } from "./answers.ts";
import type { FleetConfig } from "./config.ts";
import { FleetRelays } from "./fleet-relays.ts";
import type { FleetTime } from "./fleet-time.ts";
import { ForeignListeners } from "./foreign-listeners.ts";
import { ForeignPorts } from "./foreign-ports.ts";
import { Frontends } from "./frontends.ts";
import { Hints } from "./hints.ts";
import { type FleetSink, LeaseLoop } from "./lease-loop.ts";
import { Ledger } from "./ledger.ts";
import { LostUsage } from "./lost-usage.ts";
import { openFleetMesh } from "./mesh.ts";
import { Peers } from "./peers.ts";
import { openCapacity, registryEntry } from "./registry-entry.ts";
import { Restorer } from "./restorer.ts";
import { Router } from "./router.ts";
import { FleetSecrets } from "./secrets.ts";
import { type SlotCounters, SlotEvents } from "./slot-events.ts";
import { SlotMoves } from "./slot-moves.ts";
import { SlotTable } from "./slot-table.ts";
import { Usage } from "./usage.ts";
import { Writer } from "./writer.ts";

/** Addresses that the registry is told of a host; a host with more is not told of as a whole. */
const MAX_REACH = 128;

export interface MemberOptions {
  readonly config: RelayConfig;
  readonly fleet: FleetConfig;
  readonly self: RelayIdentity;
  readonly time: FleetTime;
  readonly store: FleetStore;
  readonly bus: EventBus | undefined;
  readonly usage: UsageLog | undefined;
  readonly dataPlane: DataPlane;
  readonly crypto: StunCrypto;
  readonly random: RandomSource;
  readonly logger: Logger;
  /** Relayed addresses of this relay. */
  readonly relays: RelayedAddresses;
  readonly listeners: ListenerSet;
  readonly adminTarget: () => string | undefined;
  readonly draining: () => boolean;
  /** Told where the other relays of the fleet relay. */
  readonly onFleetRelays: (relays: readonly FleetRelay[]) => void;
  /** Told of each slot whose records were read, and how long that took. */
  readonly onRestored: (seconds: number) => void;
}

export interface MemberCounters {
  readonly slots: SlotCounters;
  readonly renewals: { ok: number; failed: number; seconds: number };
  readonly admissions: Map<AdmissionOutcome, number>;
  alternates: number;
}

/** This relay as a member of its fleet. */
export class FleetMember implements ControlHooks, FleetSink {
  readonly counters: MemberCounters = {
    slots: { gained: 0, lost: 0, released: 0, lapsed: 0, resumed: 0, takenOver: 0 },
    renewals: { ok: 0, failed: 0, seconds: 0 },
    admissions: new Map(),
    alternates: 0,
  };
  readonly ledger: Ledger;
  readonly peers: Peers;
  readonly slots: SlotTable;
  readonly router: Router;
  readonly restorer: Restorer;
  readonly writer: Writer;
  readonly leases: LeaseLoop;
  readonly #options: MemberOptions;
  readonly #frontends: Frontends = new Frontends();
  readonly #admission: Admission;
  readonly #answers: Answers;
  readonly #usage: Usage | undefined;
  readonly #lostUsage: LostUsage | undefined;
  readonly #secrets: FleetSecrets;
  readonly #addresses: AddressesHere;
  readonly #fleetRelays: FleetRelays;
  readonly #foreignPorts: ForeignPorts;
  readonly #hints: Hints;
  readonly #slotEvents: SlotEvents;
  readonly #slotMoves: SlotMoves;
  readonly #allocationEvents: AllocationEvents;
  readonly #ttl: number;
  readonly #timers: NodeJS.Timeout[] = [];
  #unwatch: (() => void) | undefined;
  #loop: ControlLoop | undefined;
  #mesh: OpenMesh | undefined;
  #startedAt = 0;
  #reach: Reach | undefined;
  #config: RelayConfig;

  constructor(options: MemberOptions) {
    const { config, fleet, self, time, store, bus, usage: log, dataPlane, crypto, random, logger, relays } = options;
    this.#options = options;
    this.#config = config;
    const times = leaseTimes(fleet.lease.ttl * 1000, fleet.lease.outage * 1000);
    this.#ttl = times.ttl;
    const { counters } = this;
    const shared = { store, frontends: this.#frontends, time, logger };
    const loop = { run: (...input: Parameters<ControlLoop["run"]>) => this.#loop?.run(...input) } as const;
    const epochOf = (slot: string): number | undefined => this.leases.epochOf(slot);
    const onStale = (): void => this.leases.look();
    this.#answers = new Answers(loop);
    this.slots = new SlotTable(relays);
    this.ledger = new Ledger(dataPlane);
    const { slots, ledger } = this;
    this.#secrets = new FleetSecrets({
      secrets: fleet.secrets,
      nonceLifetimeMs: config.auth.nonceLifetime * 1000,
      crypto,
      time,
      dataPlane,
    });
    this.#addresses = new AddressesHere(options);
    this.#fleetRelays = new FleetRelays(options);
    this.peers = new Peers({
      dataPlane,
      identity: self.identity,
      hear: (heartbeat) => this.leases.hear(heartbeat),
      onGone: (identity) => this.router.forgetRelay(identity),
      onControl: (control) => {
        if (control.type === "not-mine") this.router.forget([control.tuple]);
        else this.#slotsMoved(control.slots);
      },
    });
    this.#hints = new Hints({ bus, peers: this.peers, logger });
    this.#foreignPorts = new ForeignPorts({
      dataPlane,
      time,
      self,
      ttl: this.#ttl,
      relays,
      holds: (slot) => slots.has(slot),
      peerOf: (identity) => this.peers.idOf(identity),
    });
    this.writer = new Writer({
      ...shared,
      loop,
      ledger,
      epochOf,
      holds: (slot) => slots.has(slot),
      onStale,
      restoring: () => slots.restoring > 0,
    });
    const foreignListeners = new ForeignListeners({ ...shared, listeners: options.listeners, loop });
    this.restorer = new Restorer({
      ...shared,
      loop,
      slots,
      openListener: (record) => foreignListeners.open(record),
      onRead: (slot) => {
        slots.mark(slot, { restored: true });
        options.onRestored(this.restorer.counters.seconds);
        this.#slotEvents.tell();
        this.#slotMoves.retire();
        // The others learn how much room there is.
        this.announce();
      },
      onOver: (record) => {
        this.writer.drop({ id: record.id, slot: record.slot });
        this.#lostUsage?.over(record, "revoked");
      },
      onFailed: (record) => this.#lostUsage?.failed(record),
    });
    const limiter = new SourceLimiter(fleet.lookups, random);
    this.router = new Router({
      ...shared,
      dataPlane,
      peers: this.peers,
      crypto,
      identity: self.identity,
      ticketKeys: () => this.#secrets.ticketKeys(),
      mayAsk: (ip, now) => limiter.allow(ip, now),
      restoring: () => slots.restoring > 0 || !this.#slotEvents.joined,
      deliver: (client, bytes) => loop.run((turn, now) => turn.handleClientInput(client, bytes, now)),
    });
    const { writer, restorer, router } = this;
    this.#slotEvents = new SlotEvents({
      identity: self.identity,
      slots,
      ledger,
      writer,
      restorer,
      router,
      foreignPorts: this.#foreignPorts,
      dataPlane,
      loop,
      time,
      logger,
      counters: counters.slots,
      settled: () => this.leases.settled,
      release: (slot, to) => this.leases.release(slot, to),
      tellOthers: (moved) => this.#hints.publish(moved),
    });
    this.#slotMoves = new SlotMoves({ identity: self.identity, slots, ledger, events: this.#slotEvents });
    this.leases = new LeaseLoop({
      store,
      self,
      times,
      failover: fleet.failover,
      maxSlots: fleet.slots.max,
      time,
      logger,
      entry: () => this.#entry(),
      slots: this.#slotEvents,
      fleet: this,
    });
    this.#admission = new Admission({
      ...shared,
      quotas: () => this.#config.quotas,
      epochOf,
      onElsewhere: (tuple, owner) => router.elsewhere(tuple, owner),
      onStale,
      count: (outcome) => {
        const { admissions } = counters;
        admissions.set(outcome, (admissions.get(outcome) ?? 0) + 1);
      },
    });
    const { identity } = self;
    const intervalMs = fleet.usage.interval * 1000;
    if (log !== undefined) {
      const usage = new Usage({ log, identity, intervalMs, ledger, time });
      this.#usage = usage;
      this.#lostUsage = new LostUsage({
        ...shared,
        usage,
        identity,
        intervalMs,
        relays: () => this.peers.all,
        holds: (slot) => slots.has(slot),
        lives: (record) => ledger.find(record) !== undefined,
      });
    }
    this.#allocationEvents = new AllocationEvents({
      ...shared,
      ledger,
      writer,
      router,
      restorer,
      admission: this.#admission,
      usage: this.#usage,
      onAlternate: () => {
        counters.alternates++;
      },
    });
  }

  /** What of the TURN server's configuration the fleet decides. */
  turnConfig(): Partial<TurnServerConfig> & { readonly nonceKeys: readonly Uint8Array[] } {
    const { onStateLoss } = this.#config.fleet ?? this.#options.fleet;
    return {
      slots: true,
      changes: true,
      admission: { onUnavailable: onStateLoss },
      ticketKeys: this.#secrets.ticketKeys(),
      nonceKeys: this.#secrets.nonceKeys(),
    };
  }

  /** Joins the mesh. The listeners are open, but for those whose address is not here yet. */
  async openMesh(): Promise<void> {
    const { fleet, logger } = this.#options;
    this.#mesh = await openFleetMesh({
      ...this.#options,
      keys: this.#secrets.meshKeys(),
      frontends: this.#frontends,
    });
    if (this.#mesh === undefined) return;
    this.peers.meshed = true;
    const { peerSide } = this.#mesh;
    if (peerSide.ok) this.#foreignPorts.enable();
    else if (fleet.failover === "address") {
      logger.warn({ reason: peerSide.reason }, "what peers send to the ports of other relays is not forwarded");
    }
  }

  /** Takes slots from now on. */
  start(loop: ControlLoop): void {
    const { fleet, time, store } = this.#options;
    this.#loop = loop;
    this.#startedAt = Math.floor(time.now());
    const reach = this.#addresses.reach();
    this.leases.start(reach);
    if (fleet.failover === "address") {
      this.#reach = reach;
      this.#addresses.follow((next) => {
        this.#reach = next;
        this.leases.setReach(next);
      });
    }
    this.#every(leaseTimes(this.#ttl, 0).heartbeat, () => this.beat());
    this.#fleetRelays.follow();
    this.#every(fleet.usage.interval * 1000, () => this.#writeCounters());
    this.#secrets.follow((keys) => loop.run((turn) => turn.setNonceKeys(keys)));
    this.#unwatch = store.onHealthChange(({ up }) => up && this.writer.hurry());
    this.#hints.follow((slots) => this.#slotsMoved(slots));
    this.#lostUsage?.follow();
  }

  /** "ok", or what this relay waits for before it can serve. */
  readiness(): string {
    const { store } = this.#options;
    if (this.#loop === undefined) return "waits for Redis";
    if (this.#slotEvents.joined) return "ok";
    if (this.slots.restoring > 0) return "restores allocations";
    return this.leases.reachesStore || store.health().up ? "waits for its slots" : "waits for Redis";
  }

  /** Slots that may be relayed for now. */
  get slotsHeld(): number {
    return this.slots.live;
  }

  /** Allocations that there is room for. */
  get capacity(): number {
    return openCapacity(this.#config, this.slots);
  }

  get offsetSeconds(): number {
    return this.#options.time.offset / 1000;
  }

  get identity(): string {
    return this.#options.self.identity;
  }

  /** Has the others told, at once, what this relay's load is. */
  announce(): void {
    this.leases.renew();
  }

  intercept(event: DataPlaneEvent, turn: TurnServer, now: number): boolean {
    if (event.type === "mesh-control") {
      this.peers.take(event.peer, event.bytes);
      return true;
    }
    return event.type === "client-input" && this.router.take(event, turn, now);
  }

  ask({ id, question }: Ask): boolean {
    if (question.kind !== "admit") return false;
    void this.#admission.decide(question.allocation).then((answer) => this.#answers.add(id, answer));
    return true;
  }

  changed(allocation: number): void {
    this.writer.changed(allocation);
  }

  observe(event: TurnEvent, turn: TurnServer): void {
    this.#allocationEvents.observe(event, turn);
    if (event.name === "allocation-deleted") this.#slotMoves.retire();
  }

  /**
   * Relayed addresses have other external ones, and with them this relay has other slots. Those of the former addresses stay
   * until the new ones are here, and then for as long as something lives in them.
   */
  addressesChanged(): void {
    if (this.#loop === undefined) return;
    this.leases.setReach(this.#addresses.reach());
    this.#slotEvents.tell();
    this.announce();
  }

  /** From now on slots go to other relays whose hosts have their addresses, where relayed addresses move. */
  depart(): void {
    this.announce();
    if (this.#reach === undefined) return;
    this.#slotMoves.depart();
    this.#slotMoves.see(this.peers.all);
  }

  /** Takes over quotas, secrets and what is done without the store. */
  reconfigure(config: RelayConfig): void {
    const { fleet } = config;
    this.#config = config;
    if (fleet === undefined) return;
    this.#secrets.set(fleet.secrets, { meshed: this.#mesh !== undefined });
    this.#loop?.run((turn) => {
      this.#secrets.tell(turn);
      turn.reconfigure({ admission: { onUnavailable: fleet.onStateLoss } });
    });
    this.announce();
  }

  /** Gives up all slots, for others to go on with where their addresses move. */
  leave(): Promise<void> {
    return this.#slotMoves.leave();
  }

  /** Ends the membership: what lives is written, and the slots are free to take. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#addresses.stop();
    this.#fleetRelays.stop();
    this.#hints.stop();
    this.#lostUsage?.stop();
    this.#unwatch?.();
    this.#secrets.stop();
    this.restorer.stop();
    this.router.stop();
    if (this.#loop !== undefined) {
      await this.#usage?.stop();
      await this.#writeAll();
    }
    this.writer.stop();
    this.beat(true);
    await this.leases.stop();
    if (this.slots.size > 0) this.#hints.publish(this.slots.names());
  }

  beat(leaving = false): void {
    const { self, time } = this.#options;
    const { identity, instance } = self;
    const { reachesStore } = this.leases;
    this.peers.broadcast({ type: "beat", identity, instance, sentAt: time.now(), reachesStore, leaving });
  }

  view(relays: readonly RelayEntry[], slots: readonly SlotState[] | undefined): void {
    const known = this.peers.all.length;
    this.peers.see(relays);
    // A new relay takes its slots within a lease's time.
    if (relays.length > known) setTimeout(() => this.#fleetRelays.learn(), this.#ttl).unref();
    const alternates = this.peers.alternates();
    this.#loop?.run((turn) => turn.setAlternates(alternates));
    if (slots !== undefined) this.#foreignPorts.forward(slots);
    if (!this.#slotEvents.joined && this.leases.settled) this.#slotEvents.tell();
    this.#slotMoves.see(relays);
  }

  renewed(ok: boolean, seconds: number): void {
    const { renewals } = this.counters;
    renewals[ok ? "ok" : "failed"]++;
    renewals.seconds += seconds;
  }

  /** What operators of other relays are shown, and what a restart goes on from, is no older than this. */
  #writeCounters(): void {
    for (const { allocation } of this.ledger) this.writer.changed(allocation);
  }

  async #writeAll(): Promise<void> {
    this.#writeCounters();
    await this.writer.flush();
  }

  #slotsMoved(slots: readonly SlotName[]): void {
    const others = slots.filter((slot) => !this.slots.has(slot));
    if (others.length === 0) return;
    this.router.forgetSlots(others);
    this.leases.look();
    this.#fleetRelays.learn();
  }

  #entry(): ReturnType<typeof registryEntry> {
    const { adminTarget, draining } = this.#options;
    return registryEntry({
      ...this.#options,
      config: this.#config,
      frontends: this.#frontends,
      slots: this.slots,
      ledger: this.ledger,
      startedAt: this.#startedAt,
      draining: draining(),
      admin: adminTarget(),
      mesh: this.#mesh?.local,
      reach: this.#reach === undefined ? undefined : [...this.#reach.ips].slice(0, MAX_REACH),
    });
  }

  #every(milliseconds: number, action: () => void): void {
    this.#timers.push(setInterval(action, milliseconds).unref());
  }
}
