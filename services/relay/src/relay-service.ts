import { setTimeout as sleep } from "node:timers/promises";
import { CertificateKeeper, ConfigError, GrpcTlsKeeper, hostAddresses, planChange, tellChange } from "@culvert/config";
import type { KeySource } from "@culvert/credentials";
import { Lifecycle, Wait } from "@culvert/runtime";
import { type ReadyState, serveOps } from "@culvert/telemetry";
import type { TurnEvent } from "@culvert/turn";
import { createTurnMetrics, type TurnMetrics } from "./adapters/turn-metrics.ts";
import { AddressChanges, externalAddresses } from "./address-changes.ts";
import { advertisedAddresses, capacityOf, resolveRelayAddresses } from "./addresses.ts";
import type { ListenerConfig, RelayAddress, RelayConfig } from "./config.ts";
import { conflictingListener, conflictMessage } from "./config-checks.ts";
import { type Control, createControl } from "./control.ts";
import type { ControlLoop } from "./control-loop.ts";
import { descriptorLimit, withinDescriptors } from "./descriptors.ts";
import type { ExternalAddresses } from "./external/external-addresses.ts";
import { frontendOf } from "./fleet/frontends.ts";
import { RelayFleet } from "./fleet/relay-fleet.ts";
import { KeyStore } from "./key-store.ts";
import { ListenerSet } from "./listener-set.ts";
import { checkRelayConfig, liveKeys, liveTurnConfig } from "./live-config.ts";
import { LocalAdmin } from "./local-admin.ts";
import { serveOperators } from "./operators.ts";
import { PeerPolicies } from "./peer-policy.ts";
import { type RelayPorts, type ResolvedPorts, resolvePorts } from "./ports.ts";
import { relayIdentity } from "./relay-identity.ts";
import { RelayedAddresses } from "./relayed-addresses.ts";
import { ownKeys, turnServerConfig } from "./turn-config.ts";

/** How long tracing waits for a relay that is not ready, and how often it looks, in milliseconds. */
const TRACE_PATIENCE_MS = 30_000;
const TRACE_LOOK_MS = 100;

export interface RelayInfo {
  /** In the order of the configuration, with the ports that were taken. */
  readonly listeners: readonly ListenerConfig[];
  /** With `auto` replaced by the address that it became. */
  readonly relays: readonly RelayAddress[];
  /** Absent when the ops server is off. */
  readonly ops?: { readonly host: string; readonly port: number };
  /** Where operators reach it. Absent when that is off. */
  readonly grpc?: { readonly host: string; readonly port: number };
}

export interface RelayService {
  /**
   * Binds everything. Rejects with a ConfigError or a ListenError of one line; nothing stays open then. In a fleet it serves
   * only when `ready` says so: once Redis answers and its ports are its own.
   */
  start(): Promise<RelayInfo>;
  /** Refuses new allocations, serves those there are until they end or `drain.timeout` is over, then closes everything. */
  stop(): Promise<void>;
  /**
   * Reads the certificates again, and takes over what may change of another configuration. What cannot be used is logged and
   * left; the old one goes on.
   */
  reload(next?: RelayConfig): void;
  ready(): ReadyState;
  /** Allocations that live now. */
  allocations(): number;
}

/** Throws a ConfigError of one line for what the schema cannot see: unreadable files, or nobody who could allocate. */
export function createRelayService(config: RelayConfig, ports: RelayPorts = {}): RelayService {
  checkRelayConfig(config, usesKeys(config, ports.keys));
  return new Relay(config, resolvePorts(config, ports), ports.descriptorLimit ?? descriptorLimit());
}

function usesKeys({ credential }: RelayConfig, keys: KeySource | undefined): boolean {
  return keys !== undefined || credential.target !== undefined;
}

class Relay implements RelayService {
  /** As it was written, and within what the system allows. */
  #written: RelayConfig;
  #config: RelayConfig;
  readonly #descriptors: number | undefined;
  readonly #ports: ResolvedPorts;
  readonly #metrics: TurnMetrics;
  readonly #keys: KeyStore;
  readonly #certificate: CertificateKeeper | undefined;
  /** Of the operators' gRPC server. */
  readonly #operatorsTls: GrpcTlsKeeper | undefined;
  readonly #life: Lifecycle<RelayInfo> = new Lifecycle({
    start: () => this.#start(),
    drain: () => this.#drain(),
    stopped: () => this.#stopped(),
  });
  readonly #untilEmpty: Wait = new Wait();
  #loop: ControlLoop | undefined;
  #control: Control | undefined;
  #policies: PeerPolicies | undefined;
  #admin: LocalAdmin | undefined;
  #fleet: RelayFleet | undefined;
  #addressChanges: AddressChanges | undefined;
  #external: ExternalAddresses | undefined;
  #here: readonly RelayAddress[] = [];
  /** Allocations that there is room for without a fleet. */
  #capacity = 0;
  #drainEnds: number | undefined;

  constructor(written: RelayConfig, ports: ResolvedPorts, descriptors: number | undefined) {
    const config = withinDescriptors(written, descriptors);
    this.#written = written;
    this.#config = config;
    this.#descriptors = descriptors;
    this.#tellTotal(ports.logger);
    this.#ports = ports;
    this.#keys = new KeyStore({
      crypto: ports.crypto,
      secrets: config.auth.secrets,
      clock: ports.clock,
      onCut: (cut) => this.#loop?.run(cut),
    });
    this.#metrics = createTurnMetrics(ports.metrics.meter, ports.dataPlane, {
      keys: () => this.#keys.ring.size.keys,
      keysConnected: () => this.#keys.connected,
      draining: () => this.#draining(),
      dangerousRanges: () => this.#config.peers.dangerouslyAllow.length,
      certificateNotAfter: () => this.#certificate?.notAfter,
      capacity: () => this.#fleet?.capacity ?? this.#capacity,
      drainRemaining: () => Math.max(0, ((this.#drainEnds ?? 0) - ports.clock()) / 1000),
      load: () => this.#loop?.load,
      clock: ports.clock,
    });
    this.#certificate = config.tls === undefined ? undefined : this.#certificateKeeper(config.tls);
    const files = config.grpc?.tls;
    this.#operatorsTls = files && new GrpcTlsKeeper({ ...this.#reloads(), prefix: "relay.grpc.tls", files });
  }

  start(): Promise<RelayInfo> {
    return this.#life.start();
  }

  stop(): Promise<void> {
    return this.#life.stop();
  }

  reload(next?: RelayConfig): void {
    this.#certificate?.reload();
    this.#operatorsTls?.reload();
    if (next === undefined) {
      this.#metrics.countReload("config", false);
      return;
    }
    const { logger, keys } = this.#ports;
    const written = this.#written;
    const plan = planChange(written, next, liveKeys(written, usesKeys(written, keys)));
    try {
      checkRelayConfig(plan.config, usesKeys(written, keys));
    } catch (error) {
      this.#metrics.countReload("config", false);
      const problem = error instanceof Error ? error.message : String(error);
      logger.error({ problem }, "configuration not taken over; the old one stays");
      return;
    }
    tellChange(logger, "relay", plan);
    if (plan.changed.length > 0) this.#reconfigure(plan.config, plan.changed);
    this.#metrics.countReload("config", true);
  }

  ready(): ReadyState {
    const started = this.#loop !== undefined;
    const { users, secrets } = this.#config.auth;
    const needsKeys = users.length + secrets.length === 0;
    const keys = this.#keys.waiting && needsKeys ? "the credential service has not sent its keys yet" : "ok";
    const listeners = started || this.#fleet !== undefined ? "ok" : "not bound yet";
    const fleet = this.#fleet?.readiness();
    // A draining relay stays ready: its live calls need the route to it.
    return {
      ready: started && keys === "ok" && (fleet ?? "ok") === "ok",
      checks: { listeners, keys, ...(fleet === undefined ? {} : { fleet }) },
    };
  }

  allocations(): number {
    return this.#metrics.allocations;
  }

  async #start(): Promise<RelayInfo> {
    const { dataPlane, resolver, logger, metrics, tracing, env, clock, time, keys } = this.#ports;
    const config = this.#config;
    this.#life.onClose(async () => {
      await Promise.all([tracing.shutdown(), metrics.shutdown()]);
    });
    const host = hostAddresses();
    const here = resolveRelayAddresses(config.addresses, host);
    refuseConflict({ ...config, addresses: here });
    const external = await externalAddresses({ config, ports: this.#ports, relays: here });
    this.#here = here;
    this.#external = external;
    this.#life.onClose(() => this.#external?.close());
    const relays = new RelayedAddresses((await external?.find()) ?? here);
    const policies = new PeerPolicies({ config, relays, host, resolver, logger, env });
    this.#policies = policies;
    const policy = await policies.load();
    if (config.peers.dangerouslyAllow.length > 0) {
      logger.warn(
        { ranges: config.peers.dangerouslyAllow },
        "peers.dangerouslyAllow opens ranges that are never peers",
      );
    }

    this.#life.onClose(
      () => dataPlane.close(),
      () => this.#loop?.stop(),
    );
    this.#capacity = capacityOf(config, here);
    const set = new ListenerSet({
      listeners: config.listeners,
      dataPlane,
      certificate: () => this.#certificate?.current,
      addressesMove: config.fleet?.failover === "address",
      ...(config.fleet === undefined
        ? {}
        : { frontendOf: (listener, address) => frontendOf(listener, address, this.#identity()) }),
    });
    const bound = await set.open();
    const listeners = config.listeners.map((listener, index) => ({ ...listener, ...bound[index]?.local }));
    const admin = this.#localAdmin(listeners, relays);
    this.#admin = admin;
    this.#life.onClose(() => admin.close());
    const fleet =
      config.fleet === undefined
        ? undefined
        : new RelayFleet({
            config,
            fleet: config.fleet,
            ports: this.#ports,
            relays,
            listeners: set,
            local: admin,
            draining: () => this.#draining(),
            onFleetRelays: (others) => policies.setFleet(others),
          });
    if (fleet !== undefined) {
      this.#life.onClose(() => fleet.close());
      await fleet.open();
      this.#fleet = fleet;
    }

    const changes = new AddressChanges({
      addresses: relays,
      run: (input) => this.#loop?.run(input),
      onChange: () => {
        policies.rebuild();
        fleet?.addressesChanged();
      },
    });
    this.#addressChanges = changes;
    this.#life.onClose(() => changes.close());

    if (keys !== undefined) this.#keys.follow(fleet?.hinted(keys) ?? keys);
    this.#certificate?.follow();
    this.#life.onClose(
      () => policies.close(),
      () => this.#certificate?.close(),
      () => this.#operatorsTls?.close(),
      () => this.#keys.close(),
    );
    const onClose = (close: () => Promise<void>): void => this.#life.onClose(close);
    const grpc =
      config.grpc === undefined
        ? undefined
        : await serveOperators({
            config: config.grpc,
            tls: this.#operatorsTls,
            token: () => this.#config.grpc?.token,
            admin: fleet?.admin ?? admin,
            clock,
            logger,
            tracing,
            onFailure: () => this.#metrics.countAdminFailure(),
            onClose,
          });
    fleet?.setAdminAddress(grpc);
    const ops = await serveOps({ ...config.ops, metrics, logger, ready: () => this.ready() }, onClose);

    const serve = (): ControlLoop => {
      const fixed = fleet?.turnConfig() ?? ownKeys(this.#config, this.#ports);
      const turnConfig = turnServerConfig({ config: this.#config, bound, relays: relays.current, host, policy, fixed });
      const observe = (event: TurnEvent): void => this.#observe(event);
      const control = createControl({
        // As it is now, after a wait for the fleet perhaps.
        config: this.#config,
        turnConfig,
        ports: this.#ports,
        keys: this.#keys,
        hooks: fleet?.hooks,
        observers: [observe, (event, turn) => admin.observe(event, turn), ...(fleet?.observers ?? [])],
      });
      const { loop } = control;
      this.#control = control;
      this.#loop = loop;
      policies.follow((next) => loop.run((turn, now) => turn.setPolicy(next, now)));
      const served = { listeners, relays: relays.current, ops, grpc, realm: config.realm, time: time.offset };
      logger.info(served, "relay serves");
      return loop;
    };
    const info = { listeners, relays: relays.current };
    external?.follow((next) => changes.apply(next));
    if (fleet === undefined) serve();
    else fleet.join(serve);
    if (tracing.configured) void this.#traceOnceReady();
    return { ...info, ...(ops === undefined ? {} : { ops }), ...(grpc === undefined ? {} : { grpc }) };
  }

  /** What loads the SDK holds up everything else: calls that are carried on over a restart come first. */
  async #traceOnceReady(): Promise<void> {
    const until = performance.now() + TRACE_PATIENCE_MS;
    while (!this.ready().ready && performance.now() < until) await sleep(TRACE_LOOK_MS, undefined, { ref: false });
    if (!this.#life.stopping) await this.#ports.tracing.start();
  }

  /** Carries out what has changed of the configuration. */
  #reconfigure(written: RelayConfig, changed: readonly string[]): void {
    const { logger, proof } = this.#ports;
    const config = withinDescriptors(written, this.#descriptors);
    const has = (key: string): boolean => changed.some((one) => one === key || one.startsWith(`${key}.`));
    this.#written = written;
    this.#config = config;
    if (has("logLevel")) logger.level = config.logLevel;
    if (has("quotas")) this.#tellTotal(logger);
    this.#capacity = capacityOf(config, this.#here);
    if (has("auth.secrets")) this.#keys.setSecrets(config.auth.secrets);
    proof?.set(config.credential);
    this.#control?.configure(config);
    this.#loop?.run((turn) => {
      turn.reconfigure(liveTurnConfig(config));
      if (!has("auth.nonceKeys")) return;
      const { nonceKeys, ticketKeys } = ownKeys(config, this.#ports);
      turn.setNonceKeys(nonceKeys);
      turn.setTicketKeys(ticketKeys);
    });
    this.#fleet?.reconfigure(config);
    if (has("peers")) {
      this.#policies
        ?.reconfigure(config)
        .catch((error: unknown) => logger.error({ err: error }, "peer policy not renewed"));
    }
    if (has("externalAddress")) this.#findAnew(config);
  }

  /** Follows other sources of the external address. What is known stays until they say something else. */
  #findAnew(config: RelayConfig): void {
    const { logger } = this.#ports;
    this.#external?.close();
    this.#external = undefined;
    externalAddresses({ config, ports: this.#ports, relays: this.#here })
      .then(async (external) => {
        if (this.#life.stopping) return;
        this.#external = external;
        const found = await external?.find();
        if (this.#external !== external) return;
        this.#addressChanges?.apply(found ?? this.#here);
        external?.follow((next) => this.#addressChanges?.apply(next));
      })
      .catch((error: unknown) => {
        const problem = error instanceof Error ? error.message : String(error);
        logger.error({ problem }, "external address not taken over; the old one stays");
      });
  }

  #tellTotal(logger: ResolvedPorts["logger"]): void {
    const { total } = this.#written.quotas;
    const { total: allowed } = this.#config.quotas;
    if (total === undefined || total === allowed) return;
    logger.warn(
      `relay.quotas.total: ${total}: more than file descriptors allow: ${allowed} allocations at most (raise the limit of open files)`,
    );
  }

  #draining(): boolean {
    return this.#life.stopping || this.#admin?.draining === true;
  }

  #identity(): string {
    return this.#config.fleet?.identity ?? relayIdentity(this.#ports.env);
  }

  #localAdmin(listeners: readonly ListenerConfig[], relays: RelayedAddresses): LocalAdmin {
    const { dataPlane, clock } = this.#ports;
    return new LocalAdmin({
      identity: this.#identity(),
      startedAt: clock(),
      capacity: () => this.#capacity,
      turn: () => advertisedAddresses(listeners, relays.current),
      dataPlane,
      clock,
      run: (input) => this.#loop?.run(input),
      stopping: () => this.#life.stopping,
    });
  }

  #observe(event: TurnEvent): void {
    this.#metrics.observe(event);
    if (event.name !== "allocation-deleted") return;
    this.#addressChanges?.ended();
    if (this.allocations() === 0) this.#untilEmpty.end();
  }

  #certificateKeeper(tls: NonNullable<RelayConfig["tls"]>): CertificateKeeper {
    const { dataPlane } = this.#ports;
    return new CertificateKeeper({
      ...this.#reloads(),
      prefix: "relay.tls",
      files: tls,
      onChange: (certificate) => {
        for (const [id, { transport }] of this.#config.listeners.entries()) {
          if (transport === "tls") dataPlane.setCertificate(id, certificate);
        }
      },
    });
  }

  #reloads() {
    const onReload = (ok: boolean): void => this.#metrics.countReload("certificate", ok);
    return { logger: this.#ports.logger, onReload };
  }

  async #drain(): Promise<void> {
    const { timeout } = this.#config.drain;
    this.#loop?.run((turn) => turn.setDraining({}));
    const began = this.allocations();
    this.#fleet?.depart();
    if (this.#loop === undefined) return;
    if (this.allocations() > 0 && timeout > 0) {
      this.#ports.logger.info({ allocations: this.allocations(), timeout }, "relay drains");
      this.#drainEnds = this.#ports.clock() + timeout * 1000;
      await this.#untilEmpty.atMost(timeout * 1000);
    }
    // Where all has gone to other relays, clients may still send here for a moment.
    if (began > 0) await this.#fleet?.leave();
  }

  #stopped(): void {
    if (this.#loop !== undefined) this.#ports.logger.info({ allocations: this.allocations() }, "relay stopped");
  }
}

/** The schema cannot know what `auto` becomes. */
function refuseConflict(config: Pick<RelayConfig, "listeners" | "addresses" | "ports">): void {
  const index = conflictingListener(config);
  if (index === undefined) return;
  const key = `relay.listeners[${index}].port`;
  throw new ConfigError(
    `${key}: ${config.listeners[index]?.port}: ${conflictMessage(config)} (CULVERT_RELAY_LISTENERS)`,
  );
}
