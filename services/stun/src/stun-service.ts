import {
  CertificateKeeper,
  ConfigError,
  GrpcTlsKeeper,
  hostAddresses,
  planChange,
  readTelemetryAccess,
  tellChange,
} from "@culvert/config";
import {
  type BoundListener,
  type Clock,
  createDataPlane,
  type DataPlane,
  type DataPlaneEvent,
} from "@culvert/dataplane";
import { Lifecycle, monotonicClock, systemRandom } from "@culvert/runtime";
import { familyOf, type TransportAddress } from "@culvert/stun";
import {
  createLogger,
  createMetrics,
  createTracing,
  type Logger,
  type Metrics,
  type ReadyState,
  type ServiceTracing,
  serveOps,
} from "@culvert/telemetry";
import { type DataPlaneCommand, type RandomSource, type StunListenerConfig, StunServer } from "@culvert/turn";
import { PartnerClient } from "./adapters/partner-client.ts";
import { createPartnerServer, type SendFrom } from "./adapters/partner-server.ts";
import { createStunMetrics, type StunMetrics } from "./adapters/stun-metrics.ts";
import type { PartnerConfig, StunConfig } from "./config.ts";
import { planListeners } from "./listeners.ts";

/** What a STUN server takes from outside. Whatever is absent is the real thing, made from the configuration. */
export interface StunPorts {
  readonly dataPlane?: DataPlane;
  readonly clock?: Clock;
  readonly random?: RandomSource;
  readonly logger?: Logger;
  readonly metrics?: Metrics;
  readonly tracing?: ServiceTracing;
}

export interface StunInfo {
  /** The configured listeners in their order, then those of behaviour discovery, with the ports that were taken. */
  readonly listeners: readonly {
    readonly transport: "udp" | "tcp" | "tls";
    readonly ip: string;
    readonly port: number;
  }[];
  /** The gRPC listener for the partner. Absent when there is none. */
  readonly partner?: TransportAddress;
  /** Absent when the ops server is off. */
  readonly ops?: { readonly host: string; readonly port: number };
}

export interface StunService {
  /** Binds everything. Rejects with a ConfigError or a ListenError of one line; nothing stays open then. */
  start(): Promise<StunInfo>;
  /** Closes everything. There is no state that clients would lose. */
  stop(): Promise<void>;
  /**
   * Reads the certificates again, and takes over tokens and the log level of another configuration. What cannot be used is
   * logged and left; the old one goes on.
   */
  reload(next?: StunConfig): void;
  ready(): ReadyState;
}

/** Keys that may change while the service runs. */
const LIVE_KEYS = ["partner.token", "logLevel"] as const;

/** Throws a ConfigError of one line for files that cannot be read. */
export function createStunService(config: StunConfig, ports: StunPorts = {}): StunService {
  return new Stun(config, ports);
}

class Stun implements StunService {
  #config: StunConfig;
  readonly #clock: Clock;
  readonly #random: RandomSource;
  readonly #logger: Logger;
  readonly #metrics: Metrics;
  readonly #tracing: ServiceTracing;
  readonly #dataPlane: DataPlane;
  readonly #counters: StunMetrics;
  readonly #certificate: CertificateKeeper | undefined;
  readonly #partner: PartnerClient | undefined;
  /** Of the gRPC listener for the partner. */
  readonly #partnerTls: GrpcTlsKeeper | undefined;
  readonly #life: Lifecycle<StunInfo> = new Lifecycle({
    start: () => this.#start(),
    stopped: () => this.#stopped(),
  });
  #server: StunServer | undefined;

  constructor(config: StunConfig, ports: StunPorts) {
    this.#config = config;
    this.#clock = ports.clock ?? monotonicClock;
    this.#random = ports.random ?? systemRandom;
    this.#logger = ports.logger ?? createLogger({ service: "stun", level: config.logLevel });
    const access = readTelemetryAccess("stun.telemetry", config.telemetry, process.env);
    this.#metrics = ports.metrics ?? createMetrics({ service: "stun", access, logger: this.#logger });
    this.#tracing = ports.tracing ?? createTracing({ service: "stun", access, logger: this.#logger });
    this.#dataPlane = ports.dataPlane ?? openDataPlane(config, this.#clock, this.#logger);
    this.#counters = createStunMetrics(this.#metrics.meter, this.#dataPlane, {
      partnerUp: () => this.#partner?.up,
      certificateNotAfter: () => this.#certificate?.notAfter,
    });
    this.#certificate = config.tls === undefined ? undefined : this.#certificateKeeper(config.tls);
    this.#partner = config.partner === undefined ? undefined : this.#partnerClient(config.partner);
    const files = config.partner?.listen?.tls;
    const onReload = (ok: boolean): void => this.#counters.countReload(ok);
    const prefix = "stun.partner.listen.tls";
    this.#partnerTls = files && new GrpcTlsKeeper({ prefix, files, logger: this.#logger, onReload });
  }

  start(): Promise<StunInfo> {
    return this.#life.start();
  }

  stop(): Promise<void> {
    return this.#life.stop();
  }

  reload(next?: StunConfig): void {
    this.#certificate?.reload();
    this.#partnerTls?.reload();
    if (next === undefined) return;
    const plan = planChange(this.#config, next, LIVE_KEYS);
    this.#config = plan.config;
    if (plan.changed.includes("logLevel")) this.#logger.level = plan.config.logLevel;
    if (plan.config.partner !== undefined) this.#partner?.prove(plan.config.partner);
    tellChange(this.#logger, "stun", plan);
  }

  ready(): ReadyState {
    const listeners = this.#server === undefined ? "not bound yet" : "ok";
    // Without its partner the server still answers from where it was asked.
    const partner = this.#partner === undefined || this.#partner.up ? "ok" : "does not answer";
    return { ready: listeners === "ok", checks: { listeners, ...(this.#partner === undefined ? {} : { partner }) } };
  }

  async #start(): Promise<StunInfo> {
    await this.#tracing.start();
    this.#life.onClose(
      () => Promise.all([this.#tracing.shutdown(), this.#metrics.shutdown()]).then(() => {}),
      () => this.#dataPlane.close(),
    );
    const listeners = await this.#listen();
    const server = new StunServer({ listeners }, { random: this.#random });
    this.#server = server;
    this.#dataPlane.onEvents((events) => this.#take(server, events));
    this.#certificate?.follow();
    this.#partner?.start();
    this.#life.onClose(
      () => this.#certificate?.close(),
      () => this.#partnerTls?.close(),
      () => this.#partner?.close(),
    );
    const partner = await this.#servePartner(listeners);
    const options = { metrics: this.#metrics, logger: this.#logger, ready: () => this.ready() };
    const ops = await serveOps({ ...this.#config.ops, ...options }, (close) => this.#life.onClose(close));
    const bound = listeners.map(({ transport, address }) => ({ transport: stunTransport(transport), ...address }));
    this.#logger.info({ listeners: bound, partner, ops }, "stun serves");
    return { listeners: bound, ...(partner === undefined ? {} : { partner }), ...(ops === undefined ? {} : { ops }) };
  }

  async #listen(): Promise<readonly StunListenerConfig[]> {
    const bound = new Map<number, BoundListener>();
    const listeners: StunListenerConfig[] = [];
    for (const planned of planListeners(this.#config, hostAddresses())) {
      const { id, transport, external, alternateIp, alternatePort, samePortAs } = planned;
      const port = (samePortAs === undefined ? undefined : bound.get(samePortAs)?.local.port) ?? planned.local.port;
      const certificate = transport === "tls" ? this.#certificate?.current : undefined;
      const spec = { id, transport, local: { ip: planned.local.ip, port }, mode: "stun" } as const;
      const listener = await this.#dataPlane.listen(certificate === undefined ? spec : { ...spec, certificate });
      bound.set(id, listener);
      const advertised = external === undefined ? {} : { advertised: { ip: external, port: listener.local.port } };
      listeners.push({ id, transport, address: listener.local, ...advertised, alternateIp, alternatePort });
    }
    return listeners;
  }

  #take(server: StunServer, events: readonly DataPlaneEvent[]): void {
    const now = this.#clock();
    const commands: DataPlaneCommand[] = [];
    for (const event of events) {
      if (event.type !== "client-input") continue;
      for (const output of server.handleClientInput(event.client, event.bytes, now)) {
        if (output.type === "send") commands.push(output);
        else if (output.type === "event") this.#counters.observe(output);
        else this.#partner?.ask(output);
      }
    }
    if (commands.length > 0) this.#dataPlane.apply(commands);
  }

  #certificateKeeper(tls: NonNullable<StunConfig["tls"]>): CertificateKeeper {
    return new CertificateKeeper({
      prefix: "stun.tls",
      files: tls,
      logger: this.#logger,
      onChange: (certificate) => {
        for (const [id, { transport }] of this.#config.listeners.entries()) {
          if (transport === "tls") this.#dataPlane.setCertificate(id, certificate);
        }
      },
      onReload: (ok) => this.#counters.countReload(ok),
    });
  }

  #partnerClient(config: PartnerConfig): PartnerClient | undefined {
    const { target } = config;
    if (target === undefined) return undefined;
    return new PartnerClient({
      config: { ...config, target },
      logger: this.#logger,
      tracing: this.#tracing,
      onPartner: (partner) => this.#server?.setPartners(partner === undefined ? [] : [partner]),
      onAsked: (outcome) => this.#counters.countAsked(outcome),
    });
  }

  async #servePartner(listeners: readonly StunListenerConfig[]): Promise<TransportAddress | undefined> {
    const { partner } = this.#config;
    const listen = partner?.listen;
    if (partner === undefined || listen === undefined) return undefined;
    const own = listeners.filter(({ transport, alternateIp }) => transport === "udp" && alternateIp !== true);
    const primary = own.find(({ alternatePort }) => alternatePort !== true);
    const alternate = own.find(
      ({ alternatePort, address }) =>
        alternatePort === true && primary !== undefined && familyOf(address.ip) === familyOf(primary.address.ip),
    );
    if (primary === undefined || alternate === undefined) return undefined;
    const server = createPartnerServer({
      listen,
      tls: this.#partnerTls,
      token: () => this.#config.partner?.token ?? partner.token,
      describe: () => ({
        primary: primary.advertised ?? primary.address,
        alternate: alternate.advertised ?? alternate.address,
      }),
      send: this.#sender(primary, alternate),
      tracing: this.#tracing,
      onRespond: (outcome) => this.#counters.countRespond(outcome),
    });
    const address = await server.listen();
    this.#life.onClose(() => server.close());
    return address;
  }

  #sender(primary: StunListenerConfig, alternate: StunListenerConfig): SendFrom {
    return (bytes, { ip, port }, alternatePort) => {
      const listener = alternatePort ? alternate : primary;
      if (familyOf(ip) !== familyOf(listener.address.ip)) return false;
      const client = { listener: listener.id, remote: { ip, port } };
      this.#dataPlane.apply([{ type: "send", to: "client", client, bytes }]);
      return true;
    };
  }

  #stopped(): void {
    if (this.#server !== undefined) this.#logger.info("stun stopped");
  }
}

function openDataPlane({ dataPlane }: StunConfig, clock: Clock, logger: Logger): DataPlane {
  const onPortable = (reason: string): void => logger.info(`using the portable data plane: ${reason}`);
  try {
    return createDataPlane({ ...dataPlane, clock, onPortable });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`stun.dataPlane.kind: ${dataPlane.kind}: ${reason}`);
  }
}

function stunTransport(transport: StunListenerConfig["transport"]): "udp" | "tcp" | "tls" {
  return transport === "dtls" ? "udp" : transport;
}
