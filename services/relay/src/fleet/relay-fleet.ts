import { setTimeout as sleep } from "node:timers/promises";
import { withRevocationHints } from "@culvert/contracts";
import type { KeySource } from "@culvert/credentials";
import type { FleetRelay, TurnEvent, TurnServer } from "@culvert/turn";
import { createFleetMetrics, restoreDurations } from "../adapters/fleet-metrics.ts";
import type { RelayAdmin } from "../admin.ts";
import type { RelayConfig } from "../config.ts";
import type { ControlHooks, ControlLoop } from "../control-loop.ts";
import type { ListenerSet } from "../listener-set.ts";
import type { LocalAdmin } from "../local-admin.ts";
import type { ResolvedPorts } from "../ports.ts";
import type { RelayedAddresses } from "../relayed-addresses.ts";
import { type FleetBackends, openBackends } from "./backends.ts";
import type { FleetConfig } from "./config.ts";
import { FleetAdmin } from "./fleet-admin.ts";
import { fleetSelf } from "./identity.ts";
import { FleetMember } from "./member.ts";
import { Orders } from "./orders.ts";

/** How long a relay that gave its slots up goes on to forward what still comes to it, in ms. */
const LINGER_MS = 1_000;

export interface RelayFleetOptions {
  readonly config: RelayConfig;
  readonly fleet: FleetConfig;
  readonly ports: ResolvedPorts;
  readonly relays: RelayedAddresses;
  readonly listeners: ListenerSet;
  readonly local: LocalAdmin;
  readonly draining: () => boolean;
  readonly onFleetRelays: (relays: readonly FleetRelay[]) => void;
}

/** What a relay in a fleet has beyond a single one: its backends, its membership, and the operators' view of all. */
export class RelayFleet {
  readonly admin: RelayAdmin;
  readonly #options: RelayFleetOptions;
  readonly #backends: FleetBackends;
  readonly #member: FleetMember;
  readonly #orders: Orders;
  readonly #fleetAdmin: FleetAdmin;
  readonly #abort = new AbortController();
  #joining: Promise<void> = Promise.resolve();
  #adminAddress: string | undefined;

  constructor(options: RelayFleetOptions) {
    const { config, fleet, ports, relays, listeners, local, draining } = options;
    const { time, dataPlane, crypto, random, logger, env, metrics, tracing } = ports;
    this.#options = options;
    const self = fleetSelf(fleet, env, random);
    this.#backends = openBackends(fleet, ports.fleet, { name: `relay ${self.identity}`, logger, metrics, tracing });
    const { store, bus, usage } = this.#backends;
    this.#member = new FleetMember({
      config,
      fleet,
      self,
      time,
      store,
      bus,
      usage,
      dataPlane,
      crypto,
      random,
      logger,
      relays,
      listeners,
      draining,
      onFleetRelays: options.onFleetRelays,
      adminTarget: () => this.#adminAddress,
      onRestored: restoreDurations(metrics.meter),
    });
    this.#orders = new Orders(bus);
    this.#fleetAdmin = new FleetAdmin({
      identity: self.identity,
      local,
      store,
      orders: this.#orders,
      logger,
      now: () => time.now(),
    });
    this.admin = this.#fleetAdmin;
    createFleetMetrics(metrics.meter, { member: this.#member, usage, dataPlane });
    logger.info({ identity: self.identity, host: self.host, failover: fleet.failover }, "relay is in a fleet");
  }

  get hooks(): ControlHooks {
    return this.#member;
  }

  get observers(): readonly ((event: TurnEvent, turn: TurnServer) => void)[] {
    return [(event, turn) => this.#member.observe(event, turn)];
  }

  turnConfig(): ReturnType<FleetMember["turnConfig"]> {
    return this.#member.turnConfig();
  }

  /** A source of keys that hears of revocations over NATS, too. */
  hinted(source: KeySource): KeySource {
    const { bus } = this.#backends;
    return bus === undefined ? source : withRevocationHints(source, bus);
  }

  readiness(): string {
    return this.#member.readiness();
  }

  /** Allocations that there is room for. */
  get capacity(): number {
    return this.#member.capacity;
  }

  /** Joins the mesh. Rejects with a ListenError. */
  open(): Promise<void> {
    return this.#member.openMesh();
  }

  setAdminAddress(address: { readonly host: string; readonly port: number } | undefined): void {
    if (address !== undefined) this.#adminAddress = `${address.host}:${address.port}`;
  }

  /** Becomes a member as soon as the store answers: only then is it known what time it is. */
  join(serve: () => ControlLoop): void {
    const { time, logger } = this.#options.ports;
    this.#joining = time
      .set(this.#backends.store, logger, this.#abort.signal)
      .then(async () => {
        this.#member.start(serve());
        await this.#serveOrders();
      })
      .catch((error: unknown) => {
        if (!this.#abort.signal.aborted) logger.error({ err: error }, "the relay could not join its fleet");
      });
  }

  /** Relayed addresses have other external ones. */
  addressesChanged(): void {
    this.#member.addressesChanged();
  }

  /** Takes over what may change while the relay runs. */
  reconfigure(config: RelayConfig): void {
    this.#member.reconfigure(config);
  }

  /**
   * Tells the others at once that this relay drains. Where relayed addresses move, others who have them too go on with what
   * lives, from now on.
   */
  depart(): void {
    this.#member.depart();
  }

  /** Where relayed addresses move, others go on with what still lives. */
  async leave(): Promise<void> {
    if (this.#options.fleet.failover !== "address") return;
    await this.#member.leave();
    await sleep(LINGER_MS);
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#joining;
    this.#fleetAdmin.close();
    await this.#member.stop();
    const { usage, bus, store } = this.#backends;
    await usage?.close();
    await bus?.close();
    await store.close();
  }

  async #serveOrders(): Promise<void> {
    const { local, ports } = this.#options;
    const { logger } = ports;
    const carryOut = async (order: "terminate" | "drain" | "undrain", argument: string): Promise<void> => {
      logger.info({ order, argument }, "an operator's order by way of another relay");
      await local[order](argument);
      this.#member.announce();
    };
    const serve = (): Promise<unknown> => this.#orders.serve(this.#member.identity, carryOut);
    await serve().catch((error: unknown) => logger.warn({ err: error }, "no orders by way of other relays"));
  }
}
