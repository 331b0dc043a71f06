import { CertificateKeeper, ConfigError, hostAddresses } from "@culvert/config";
import type { BoundListener } from "@culvert/dataplane";
import { Lifecycle, Wait } from "@culvert/runtime";
import { type ReadyState, serveOps } from "@culvert/telemetry";
import { type TurnEvent, TurnServer } from "@culvert/turn";
import { createAuthenticator } from "./adapters/authenticator.ts";
import { anonymiser, createTurnLog } from "./adapters/turn-log.ts";
import { createTurnMetrics, type TurnMetrics } from "./adapters/turn-metrics.ts";
import { resolveRelayAddresses } from "./addresses.ts";
import type { ListenerConfig, RelayAddress, RelayConfig } from "./config.ts";
import { conflictingListener, conflictMessage } from "./config-checks.ts";
import { ControlLoop } from "./control-loop.ts";
import { KeyStore } from "./key-store.ts";
import { PeerPolicies } from "./peer-policy.ts";
import { type RelayPorts, type ResolvedPorts, resolvePorts } from "./ports.ts";
import { configuredNonceKeys, turnServerConfig } from "./turn-config.ts";

export interface RelayInfo {
  /** In the order of the configuration, with the ports that were taken. */
  readonly listeners: readonly ListenerConfig[];
  /** With `auto` replaced by the address that it became. */
  readonly relays: readonly RelayAddress[];
  /** Absent when the ops server is off. */
  readonly ops?: { readonly host: string; readonly port: number };
}

export interface RelayService {
  /** Binds everything. Rejects with a ConfigError or a ListenError of one line; nothing stays open then. */
  start(): Promise<RelayInfo>;
  /** Refuses new allocations, serves those there are until they end or `drain.timeout` is over, then closes everything. */
  stop(): Promise<void>;
  /** Reads the certificate again. One that cannot be used is logged and left; the old one goes on. */
  reload(): void;
  ready(): ReadyState;
  /** Allocations that live now. */
  allocations(): number;
}

/** Throws a ConfigError of one line for what the schema cannot see: unreadable files, or nobody who could allocate. */
export function createRelayService(config: RelayConfig, ports: RelayPorts = {}): RelayService {
  const { target } = config.credential;
  if (ports.keys === undefined && target === undefined && config.auth.users.length + config.auth.secrets.length === 0) {
    throw new ConfigError(
      "relay.credential.target: missing: must be set, or relay.auth.users or relay.auth.secrets (CULVERT_RELAY_CREDENTIAL_TARGET)",
    );
  }
  return new Relay(config, resolvePorts(config, ports));
}

class Relay implements RelayService {
  readonly #config: RelayConfig;
  readonly #ports: ResolvedPorts;
  readonly #metrics: TurnMetrics;
  readonly #keys: KeyStore;
  readonly #certificate: CertificateKeeper | undefined;
  readonly #life: Lifecycle<RelayInfo> = new Lifecycle({
    start: () => this.#start(),
    drain: () => this.#drain(),
    stopped: () => this.#stopped(),
  });
  readonly #untilEmpty: Wait = new Wait();
  #loop: ControlLoop | undefined;

  constructor(config: RelayConfig, ports: ResolvedPorts) {
    this.#config = config;
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
      draining: () => this.#life.stopping,
      dangerousRanges: config.peers.dangerouslyAllow.length,
      certificateNotAfter: () => this.#certificate?.notAfter,
    });
    this.#certificate = config.tls === undefined ? undefined : this.#certificateKeeper(config.tls);
  }

  start(): Promise<RelayInfo> {
    return this.#life.start();
  }

  stop(): Promise<void> {
    return this.#life.stop();
  }

  reload(): void {
    this.#certificate?.reload();
  }

  ready(): ReadyState {
    const started = this.#loop !== undefined;
    const { users, secrets } = this.#config.auth;
    const needsKeys = users.length + secrets.length === 0;
    const keys = this.#keys.waiting && needsKeys ? "the credential service has not sent its keys yet" : "ok";
    // A draining relay stays ready: its live calls need the route to it.
    return { ready: started && keys === "ok", checks: { listeners: started ? "ok" : "not bound yet", keys } };
  }

  allocations(): number {
    return this.#metrics.allocations;
  }

  async #start(): Promise<RelayInfo> {
    const { dataPlane, resolver, logger, metrics, env } = this.#ports;
    const config = this.#config;
    this.#life.onClose(() => metrics.shutdown());
    const host = hostAddresses();
    const relays = resolveRelayAddresses(config.addresses, host);
    refuseConflict({ ...config, addresses: relays });
    const policies = new PeerPolicies({ config, relays, host, resolver, logger, env });
    const policy = await policies.load();
    if (config.peers.dangerouslyAllow.length > 0) {
      logger.warn(
        { ranges: config.peers.dangerouslyAllow },
        "peers.dangerouslyAllow opens ranges that are never peers",
      );
    }

    this.#life.onClose(() => dataPlane.close());
    const bound = await this.#listen();
    const nonceKeys = this.#nonceKeys();
    const loop = new ControlLoop({
      turn: this.#turnServer(turnServerConfig({ config, bound, relays, host, policy, nonceKeys })),
      dataPlane,
      clock: this.#ports.clock,
      onEvent: this.#observer(),
    });
    this.#life.onClose(() => loop.stop());
    this.#loop = loop;

    policies.follow((next) => loop.run((turn, now) => turn.setPolicy(next, now)));
    this.#certificate?.follow();
    if (this.#ports.keys !== undefined) this.#keys.follow(this.#ports.keys);
    this.#life.onClose(
      () => policies.close(),
      () => this.#certificate?.close(),
      () => this.#keys.close(),
    );
    const ops = await serveOps({ ...config.ops, metrics, logger, ready: () => this.ready() }, (close) =>
      this.#life.onClose(close),
    );
    const listeners = config.listeners.map((listener, index) => ({ ...listener, ...bound[index]?.local }));
    logger.info({ listeners, relays, ops, realm: config.realm }, "relay serves");
    return { listeners, relays, ...(ops === undefined ? {} : { ops }) };
  }

  async #listen(): Promise<readonly BoundListener[]> {
    const bound: BoundListener[] = [];
    for (const [id, { transport, ip, port }] of this.#config.listeners.entries()) {
      const certificate = transport === "tls" ? this.#certificate?.current : undefined;
      const spec = { id, transport, local: { ip, port }, mode: "turn" } as const;
      bound.push(await this.#ports.dataPlane.listen(certificate === undefined ? spec : { ...spec, certificate }));
    }
    return bound;
  }

  #turnServer(turnConfig: ConstructorParameters<typeof TurnServer>[0]): TurnServer {
    const { crypto, random, keys } = this.#ports;
    const { auth, realm, limits } = this.#config;
    const authenticator = createAuthenticator({
      users: auth.users,
      realm,
      keys: this.#keys.ring,
      usesKeys: keys !== undefined || auth.secrets.length > 0,
      crypto,
      ...(limits.maxBps === undefined ? {} : { maxBps: limits.maxBps }),
    });
    return new TurnServer(turnConfig, { crypto, random, authenticator });
  }

  #observer(): (event: TurnEvent) => void {
    const { logger, random, clock } = this.#ports;
    const log = createTurnLog(logger, anonymiser(this.#config.logAddresses, random.bytes(32)), clock);
    return (event) => {
      this.#metrics.observe(event);
      log(event);
      if (event.name === "allocation-deleted" && this.allocations() === 0) this.#untilEmpty.end();
    };
  }

  #nonceKeys(): readonly Uint8Array[] {
    const configured = configuredNonceKeys(this.#config);
    if (configured.length > 0) return configured;
    this.#ports.logger.info("relay.auth.nonceKeys is not set: nonces are this relay's own and end with it");
    return [this.#ports.random.bytes(32)];
  }

  #certificateKeeper(tls: NonNullable<RelayConfig["tls"]>): CertificateKeeper {
    const { dataPlane, logger } = this.#ports;
    return new CertificateKeeper({
      prefix: "relay.tls",
      files: tls,
      logger,
      onChange: (certificate) => {
        for (const [id, { transport }] of this.#config.listeners.entries()) {
          if (transport === "tls") dataPlane.setCertificate(id, certificate);
        }
      },
      onReload: (ok) => this.#metrics.countReload("certificate", ok),
    });
  }

  async #drain(): Promise<void> {
    const { timeout } = this.#config.drain;
    this.#loop?.run((turn) => turn.setDraining({}));
    if (this.#loop === undefined || this.allocations() === 0 || timeout === 0) return;
    this.#ports.logger.info({ allocations: this.allocations(), timeout }, "relay drains");
    await this.#untilEmpty.atMost(timeout * 1000);
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
