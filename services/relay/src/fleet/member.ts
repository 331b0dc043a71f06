import { Buffer } from "node:buffer";
import { setTimeout as sleep } from "node:timers/promises";
import { hostAddresses } from "@culvert/config";
import type { DataPlane, DataPlaneEvent, OpenMesh } from "@culvert/dataplane";
import type { EventBus, UsageLog } from "@culvert/events";
import {
  cutSlots,
  fleetKeys,
  type KeeperOutput,
  leaseTimes,
  parseSlot,
  type RelayIdentity,
  type SlotName,
} from "@culvert/fleet";
import type { AllocationRecord, FleetStore, RelayEntry, SlotState } from "@culvert/state";
import type { StunCrypto, TransportAddress } from "@culvert/stun";
import type { Logger } from "@culvert/telemetry";
import {
  type Ask,
  type FleetRelay,
  type PortRange,
  type RandomSource,
  SourceLimiter,
  type TurnEvent,
  type TurnServer,
  type TurnServerConfig,
} from "@culvert/turn";
import { canonical } from "../addresses.ts";
import type { RelayAddress, RelayConfig } from "../config.ts";
import type { ControlHooks, ControlLoop } from "../control-loop.ts";
import type { ListenerSet } from "../listener-set.ts";
import { Admission, type AdmissionOutcome } from "./admission.ts";
import type { FleetConfig } from "./config.ts";
import type { FleetTime } from "./fleet-time.ts";
import { type FleetListener, Frontends, frontendOf } from "./frontends.ts";
import { LeaseLoop, type LeaseSink } from "./lease-loop.ts";
import { Ledger } from "./ledger.ts";
import { Peers } from "./peers.ts";
import { Restorer } from "./restorer.ts";
import { NonceRotation } from "./rotation.ts";
import { Router } from "./router.ts";
import { SlotTable } from "./slot-table.ts";
import { Usage } from "./usage.ts";
import { Writer } from "./writer.ts";

/** How often the host's addresses are looked at, where relayed addresses move, in ms. */
const ADDRESSES_MS = 250;
/** How long packets for the ports of another relay go there unless told again, in lease times. */
const FOREIGN_PORTS_TTLS = 2;
/** For a listener of another relay whose address came here. */
const LISTEN_ATTEMPTS = 12;
const LISTEN_RETRY_MS = 250;
/** How often the relayed addresses of the fleet are read, in ms. */
const RELAYS_MS = 10_000;
/** Ownership hints, by name of the slot's address. */
const SLOTS_SUBJECT = "culvert.fleet.slots";

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
  readonly relays: readonly RelayAddress[];
  readonly listeners: ListenerSet;
  readonly adminTarget: () => string | undefined;
  readonly draining: () => boolean;
  /** Told where the other relays of the fleet relay. */
  readonly onFleetRelays: (relays: readonly FleetRelay[]) => void;
}

export interface MemberCounters {
  readonly slots: { gained: number; lost: number; released: number; lapsed: number; resumed: number };
  readonly renewals: { ok: number; failed: number; seconds: number };
  readonly admissions: Map<AdmissionOutcome, number>;
  alternates: number;
}

/** This relay as a member of its fleet. */
export class FleetMember implements ControlHooks {
  readonly counters: MemberCounters = {
    slots: { gained: 0, lost: 0, released: 0, lapsed: 0, resumed: 0 },
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
  readonly #usage: Usage | undefined;
  readonly #rotation: NonceRotation;
  readonly #ttl: number;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #unsubscribe: (() => void)[] = [];
  #loop: ControlLoop | undefined;
  #mesh: OpenMesh | undefined;
  #ips = "";
  #startedAt = 0;
  #joined = false;
  #handingOver = new Set<SlotName>();

  constructor(options: MemberOptions) {
    const { config, fleet, self, time, store, dataPlane, crypto, random, logger, relays } = options;
    this.#options = options;
    const times = leaseTimes(fleet.lease.ttl * 1000, fleet.lease.outage * 1000);
    this.#ttl = times.ttl;
    this.slots = new SlotTable(relays);
    this.ledger = new Ledger(dataPlane);
    this.#rotation = new NonceRotation(crypto, fleet.secrets, config.auth.nonceLifetime * 1000, time);
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
    this.leases = new LeaseLoop({
      store,
      self,
      times,
      failover: fleet.failover,
      maxSlots: fleet.slots.max,
      time,
      logger,
      entry: () => this.#entry(),
      sink: this.#sink(),
    });
    const shared = { store, frontends: this.#frontends, time, logger };
    const loop = { run: (...input: Parameters<ControlLoop["run"]>) => this.#loop?.run(...input) } as const;
    const epochOf = (slot: string): number | undefined => this.leases.epochOf(slot);
    this.writer = new Writer({
      ...shared,
      loop,
      ledger: this.ledger,
      epochOf,
      holds: (slot) => this.slots.has(slot),
      onStale: () => this.leases.look(),
    });
    this.restorer = new Restorer({
      ...shared,
      loop,
      slots: this.slots,
      openListener: (record) => this.#openListener(record),
      onRead: (slot) => {
        this.slots.mark(slot, { restored: true });
        this.#tellSlots();
        // The others learn how much room there is.
        this.announce();
      },
    });
    const limiter = new SourceLimiter(fleet.lookups, random);
    this.router = new Router({
      ...shared,
      dataPlane,
      peers: this.peers,
      crypto,
      identity: self.identity,
      ticketKeys: () => fleetKeys(crypto, fleet.secrets, "ticket"),
      mayAsk: (ip, now) => limiter.allow(ip, now),
      restoring: () => this.slots.restoring > 0 || !this.#joined,
      deliver: (client, bytes) => this.#loop?.run((turn, now) => turn.handleClientInput(client, bytes, now)),
    });
    this.#admission = new Admission({
      ...shared,
      quotas: config.quotas,
      epochOf,
      onElsewhere: (tuple, owner) => this.router.elsewhere(tuple, owner),
      onStale: () => this.leases.look(),
      count: (outcome) => {
        const { admissions } = this.counters;
        admissions.set(outcome, (admissions.get(outcome) ?? 0) + 1);
      },
    });
    const { usage: log } = options;
    if (log !== undefined) {
      const { interval } = fleet.usage;
      const { identity } = self;
      this.#usage = new Usage({ log, identity, intervalMs: interval * 1000, ledger: this.ledger, time });
    }
  }

  /** What of the TURN server's configuration the fleet decides. */
  turnConfig(): Partial<TurnServerConfig> & { readonly nonceKeys: readonly Uint8Array[] } {
    const { fleet, crypto } = this.#options;
    return {
      slots: true,
      changes: true,
      admission: { onUnavailable: fleet.onStateLoss },
      mobility: fleet.mobility,
      ticketKeys: fleetKeys(crypto, fleet.secrets, "ticket"),
      nonceKeys: this.#rotation.keys(),
    };
  }

  /** Joins the mesh. The listeners are open, but for those whose address is not here yet. */
  async openMesh(): Promise<void> {
    const { config, fleet, self, crypto, dataPlane, listeners, relays, logger } = this.#options;
    for (const [id, listener] of config.listeners.entries()) {
      const address = listeners.addressOf(id);
      const { transport } = listener;
      this.#frontends.add({ id, transport, address, frontend: frontendOf(listener, address, self.identity) });
    }
    if (fleet.mesh === undefined) return;
    this.#mesh = await dataPlane.openMesh({
      local: { ip: canonical(fleet.mesh.ip), port: fleet.mesh.port },
      instance: self.instance,
      secrets: fleetKeys(crypto, fleet.secrets, "mesh"),
      // The others join when their address is here.
      frontends: new Map(
        [...this.#frontends].flatMap(({ id, frontend }) => (listeners.isOpen(id) ? [[id, frontend] as const] : [])),
      ),
      ...(fleet.failover === "address" ? { sharedIps: relays.map(({ ip }) => ip) } : {}),
    });
    this.peers.meshed = true;
    const { peerSide } = this.#mesh;
    if (!peerSide.ok && fleet.failover === "address") {
      logger.warn({ reason: peerSide.reason }, "what peers send to the ports of other relays is not forwarded");
    }
  }

  /** Takes slots from now on. */
  start(loop: ControlLoop): void {
    const { fleet, time, bus, logger } = this.#options;
    this.#loop = loop;
    this.#startedAt = Math.floor(time.now());
    this.leases.start(this.#reach());
    if (fleet.failover === "address") this.#every(ADDRESSES_MS, () => this.#followAddresses());
    this.#every(leaseTimes(this.#ttl, 0).heartbeat, () => this.#beat());
    void this.#learnRelays();
    this.#every(RELAYS_MS, () => void this.#learnRelays());
    this.#every(fleet.usage.interval * 1000, () => this.#writeCounters());
    this.#rotation.follow((keys) => loop.run((turn) => turn.setNonceKeys(keys)));
    this.#unsubscribe.push(this.#options.store.onHealthChange(({ up }) => up && this.writer.hurry()));
    bus
      ?.subscribe(SLOTS_SUBJECT, ({ data }) => this.#slotsMoved(Buffer.from(data).toString().split("\n")))
      .then((subscription) => this.#unsubscribe.push(() => subscription.unsubscribe()))
      .catch((error: unknown) => logger.warn({ err: error }, "no hints from other relays"));
  }

  /** "ok", or what this relay waits for before it can serve. */
  readiness(): string {
    const { store } = this.#options;
    if (this.#loop === undefined) return "waits for Redis";
    if (this.#joined) return "ok";
    if (this.slots.restoring > 0) return "restores allocations";
    return this.leases.reachesStore || store.health().up ? "waits for its slots" : "waits for Redis";
  }

  /** Slots that may be relayed for now. */
  get slotsHeld(): number {
    return this.slots.live;
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
    void this.#admission
      .decide(question.allocation)
      .then((answer) => this.#loop?.run((turn, now) => turn.handleAnswer(id, answer, now)));
    return true;
  }

  changed(allocation: number): void {
    this.writer.changed(allocation);
  }

  observe(event: TurnEvent, turn: TurnServer): void {
    switch (event.name) {
      case "allocation-created":
      case "allocation-restored":
        this.#began(event, turn);
        break;
      case "allocation-moved":
        this.router.own(event.client);
        break;
      case "relay-deleted":
        this.ledger.closeRelay(event.allocation, event.relay);
        break;
      case "allocation-deleted":
        this.#ended(event);
        break;
      case "restore-failed": {
        const over = this.restorer.failed(event.record, event.reason);
        if (over !== undefined) this.writer.drop({ id: over.id, slot: over.slot });
        break;
      }
      case "admission-unused":
        if (this.#admission.takeAdmitted(event.record)) this.#dropUnused(event.record);
        break;
      case "request":
        if (event.code === 300) this.counters.alternates++;
        break;
      default:
        break;
    }
  }

  /** Gives up all slots, for others to go on with where their addresses move. */
  async leave(): Promise<void> {
    for (const slot of this.slots.names()) await this.#handOver(slot);
  }

  /** Ends the membership: what lives is written, and the slots are free to take. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#rotation.stop();
    this.restorer.stop();
    if (this.#loop !== undefined) {
      await this.#usage?.stop();
      await this.#writeAll();
    }
    this.writer.stop();
    this.#beat(true);
    await this.leases.stop();
    if (this.slots.size > 0) this.#tellOthers(this.slots.names());
  }

  #sink(): LeaseSink {
    const { counters } = this;
    return {
      deadline: ({ lease, deadline }) => this.#options.dataPlane.apply([{ type: "lease", lease, deadline }]),
      gained: (output) => this.#gained(output),
      lost: ({ slot, lease, reason }) => {
        counters.slots[reason === "taken" ? "lost" : "released"]++;
        this.slots.remove(slot, lease);
        this.#tellSlots(reason === "taken" ? "fenced" : "handed-over");
        if (reason === "taken") this.#options.logger.warn({ slot }, "another relay has the slot");
      },
      lapsed: (slot) => {
        counters.slots.lapsed++;
        this.#options.logger.warn({ slot }, "lease lapsed: nothing is relayed for the slot");
        this.slots.mark(slot, { lapsed: true });
        this.#tellSlots();
      },
      resumed: (slot) => {
        counters.slots.resumed++;
        this.#options.logger.info({ slot }, "lease held again");
        this.slots.mark(slot, { lapsed: false });
        this.#tellSlots();
        // What changed meanwhile was not written.
        this.writer.republish([slot]);
      },
      displaced: (slot) => void this.#handOver(slot),
      republish: (slots) => this.writer.republish(slots),
      beat: () => this.#beat(),
      view: (relays, slots) => this.#see(relays, slots),
      renewed: (ok, seconds) => {
        counters.renewals[ok ? "ok" : "failed"]++;
        counters.renewals.seconds += seconds;
      },
    };
  }

  #gained({ slot, lease, deadline, previous }: KeeperOutput & { readonly type: "gained" }): void {
    this.counters.slots.gained++;
    this.#options.logger.info({ slot, previous: previous?.identity }, "slot taken");
    this.slots.add(slot, lease);
    const ports = this.#localPorts(slot);
    this.#options.dataPlane.apply([
      { type: "lease", lease, deadline },
      // What peers send to its ports went to the owner before.
      ...(ports === undefined ? [] : [{ type: "revoke", key: { kind: "foreign-ports", ...ports } } as const]),
    ]);
    this.#tellSlots();
    this.router.forgetSlots([slot]);
    this.#tellOthers([slot]);
    void this.restorer.restore(slot, lease);
  }

  /** Others go on with the slot: nothing is relayed for it any more, and all that happened is written. */
  async #handOver(slot: SlotName): Promise<void> {
    const lease = this.slots.leaseOf(slot);
    if (lease === undefined || this.#handingOver.has(slot)) return;
    this.#handingOver.add(slot);
    const { dataPlane, time } = this.#options;
    this.slots.mark(slot, { closing: true });
    this.#tellSlots();
    dataPlane.apply([{ type: "lease", lease, deadline: time.clock() }]);
    for (const { allocation } of this.ledger.ofSlot(slot)) this.writer.changed(allocation);
    await this.writer.flush();
    this.leases.release(slot);
    this.#handingOver.delete(slot);
    this.#tellOthers([slot]);
  }

  #began(event: TurnEvent & { readonly name: "allocation-created" | "allocation-restored" }, turn: TurnServer): void {
    const info = turn.find(event.record);
    if (info === undefined) return;
    const entry = this.ledger.add(info);
    this.router.own(event.client);
    const restored = event.name === "allocation-restored";
    if (restored) {
      this.restorer.restored(event.record);
      this.router.restored();
    }
    else if (!this.#admission.takeAdmitted(event.record)) this.writer.changed(event.allocation);
    this.#usage?.began(entry, restored ? "resumed" : "started");
  }

  #ended({ allocation, record, slot = "", reason }: TurnEvent & { readonly name: "allocation-deleted" }): void {
    this.#usage?.ended(record, reason);
    this.ledger.remove(allocation);
    if (reason === "fenced" || reason === "handed-over") this.writer.forget(allocation);
    else this.writer.deleted(allocation, { id: record, slot });
  }

  #dropUnused(id: string): void {
    const { store, logger } = this.#options;
    store
      .get(id)
      .then((found) => found !== undefined && this.writer.drop({ id, slot: found.record.slot }))
      .catch((error: unknown) => logger.debug({ err: error }, "an unused admission runs out by itself"));
  }

  /** What operators of other relays are shown, and what a restart goes on from, is no older than this. */
  #writeCounters(): void {
    for (const { allocation } of this.ledger) this.writer.changed(allocation);
  }

  async #writeAll(): Promise<void> {
    this.#writeCounters();
    await this.writer.flush();
  }

  /** Tells the TURN server which slots it may use. */
  #tellSlots(reason: "fenced" | "handed-over" = "fenced"): void {
    if (this.leases.settled && this.slots.restoring === 0) this.#joined = true;
    this.#loop?.run((turn, now) => turn.setSlots(this.slots.configs(), now, reason));
  }

  #tellOthers(slots: readonly SlotName[]): void {
    this.peers.broadcast({ type: "slots", slots });
    try {
      this.#options.bus?.publish(SLOTS_SUBJECT, Buffer.from(slots.join("\n")));
    } catch (error) {
      this.#options.logger.debug({ err: error }, "hint not published");
    }
  }

  #slotsMoved(slots: readonly SlotName[]): void {
    const others = slots.filter((slot) => !this.slots.has(slot));
    if (others.length === 0) return;
    this.router.forgetSlots(others);
    this.leases.look();
    void this.#learnRelays();
  }

  #see(relays: readonly RelayEntry[], slots: readonly SlotState[] | undefined): void {
    const known = this.peers.all.length;
    this.peers.see(relays);
    // A new relay takes its slots within a lease's time.
    if (relays.length > known) setTimeout(() => void this.#learnRelays(), this.#ttl).unref();
    const alternates = this.peers.alternates();
    this.#loop?.run((turn) => turn.setAlternates(alternates));
    if (slots !== undefined) this.#forwardPorts(slots);
    if (!this.#joined && this.leases.settled) this.#tellSlots();
  }

  /** What peers send to ports that another relay serves on an address that is here, too. */
  #forwardPorts(slots: readonly SlotState[]): void {
    if (this.#mesh?.peerSide.ok !== true) return;
    const { dataPlane, self, time } = this.#options;
    const deadline = time.clock() + FOREIGN_PORTS_TTLS * this.#ttl;
    for (const { slot, identity, host, expiresInMs } of slots) {
      const local = this.#localPorts(slot);
      const peer = this.peers.idOf(identity);
      if (local === undefined || peer === undefined) continue;
      if (expiresInMs <= 0 || host === self.host || this.slots.has(slot)) continue;
      dataPlane.apply([{ type: "upsert", entry: { kind: "foreign-ports", ...local, peer, deadline } }]);
    }
  }

  /** The ports of a slot on an address that may be shared; undefined where it is not one of this relay's. */
  #localPorts(slot: SlotName): { readonly ip: string; readonly ports: PortRange } | undefined {
    if (this.#mesh?.peerSide.ok !== true) return undefined;
    const range = parseSlot(slot);
    const local = this.#options.relays.find(({ ip, external = ip }) => external === range?.ip);
    if (range === undefined || local === undefined) return undefined;
    return { ip: local.ip, ports: { min: range.min, max: range.max } };
  }

  /** Their relayed addresses are peers, whatever the policy says of their ranges. */
  async #learnRelays(): Promise<void> {
    const { store, onFleetRelays, relays, logger } = this.#options;
    const own = new Set(relays.map(({ ip, external = ip }) => external));
    try {
      onFleetRelays(fleetRelays(await store.slots(), own));
    } catch (error) {
      logger.debug({ err: error }, "relayed addresses of the fleet not read");
    }
  }

  #followAddresses(): void {
    const reach = this.#reach();
    const ips = [...reach.ips].sort().join(" ");
    if (ips === this.#ips) return;
    this.#ips = ips;
    this.#options.listeners
      .openPending()
      .catch((error: unknown) => this.#options.logger.error({ err: error }, "listener not opened"))
      .finally(() => this.leases.setReach(reach));
  }

  #reach(): { readonly own: readonly SlotName[]; readonly ips: ReadonlySet<string> } {
    const { config, fleet, relays } = this.#options;
    const own = relays.flatMap(({ ip, external = ip }) =>
      cutSlots({ ip: external, ...config.ports }, fleet.slots.ports),
    );
    const here = new Set(hostAddresses().map(({ address }) => canonical(address)));
    const loopback = (ip: string): boolean => ip.startsWith("127.");
    const external = relays.flatMap(({ ip, external: known = ip }) => (here.has(ip) || loopback(ip) ? [known] : []));
    return { own, ips: new Set([...here, ...external]) };
  }

  async #openListener({ transport, listener, frontend }: AllocationRecord): Promise<FleetListener | undefined> {
    const { listeners, logger } = this.#options;
    if (transport !== "udp") return undefined;
    let id: number | undefined;
    for (let attempt = 0; attempt < LISTEN_ATTEMPTS && id === undefined; attempt++) {
      // Its owner may be about to let go of it.
      if (attempt > 0) await sleep(LISTEN_RETRY_MS);
      id = await listeners.openFor(listener, frontend).catch((error: unknown) => {
        logger.warn({ err: error }, "no listener for the clients of another relay");
        return undefined;
      });
    }
    if (id === undefined) return undefined;
    const added = { id, transport, address: listener, frontend } as const;
    this.#frontends.add(added);
    this.#loop?.run((turn) => turn.addListener({ id, transport, address: listener }));
    return added;
  }

  #entry(): Omit<RelayEntry, "identity" | "instance" | "host" | "sentAt" | "contact"> {
    const { config, fleet, adminTarget } = this.#options;
    const { ports } = this.slots;
    const capacity = Math.min(ports, config.quotas.total ?? ports);
    const admin = adminTarget();
    const mesh = this.#mesh === undefined ? undefined : { ...this.#mesh.local };
    return {
      turn: this.#advertised(),
      load: { allocations: this.ledger.size, capacity, draining: this.#options.draining() },
      startedAt: this.#startedAt,
      ...(mesh === undefined ? {} : { mesh: { ...mesh, ip: fleet.mesh?.external ?? mesh.ip } }),
      ...(admin === undefined ? {} : { admin }),
    };
  }

  #advertised(): readonly TransportAddress[] {
    const { fleet, relays } = this.#options;
    if (fleet.advertise.length > 0) return fleet.advertise;
    return [...this.#frontends]
      .filter(({ transport, address }) => transport !== "tls" && address.ip !== "0.0.0.0" && address.ip !== "::")
      .map(({ address: { ip, port } }) => ({ ip: relays.find((relay) => relay.ip === ip)?.external ?? ip, port }));
  }

  #beat(leaving = false): void {
    const { self, time } = this.#options;
    const { identity, instance } = self;
    const { reachesStore } = this.leases;
    this.peers.broadcast({ type: "beat", identity, instance, sentAt: time.now(), reachesStore, leaving });
  }

  #every(milliseconds: number, action: () => void): void {
    this.#timers.push(setInterval(action, milliseconds).unref());
  }
}

/** The relayed addresses of all slots but the own ones, each with all of its ports. */
function fleetRelays(slots: readonly SlotState[], own: ReadonlySet<string>): readonly FleetRelay[] {
  const ports = new Map<string, { readonly min: number; readonly max: number }>();
  for (const { slot } of slots) {
    const range = parseSlot(slot);
    if (range === undefined || own.has(range.ip)) continue;
    const { min, max } = ports.get(range.ip) ?? range;
    ports.set(range.ip, { min: Math.min(min, range.min), max: Math.max(max, range.max) });
  }
  return [...ports].sort(([a], [b]) => (a < b ? -1 : 1)).map(([range, known]) => ({ range, ports: known }));
}
