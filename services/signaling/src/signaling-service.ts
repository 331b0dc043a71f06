import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { ConfigError, planChange, tellChange } from "@culvert/config";
import { untilUp } from "@culvert/events";
import { DEFAULT_LIMITS, Hub, type HubEvent, type HubOutput, type Limits } from "@culvert/rendezvous";
import { Lifecycle, Sources, Wait } from "@culvert/runtime";
import { type ReadyState, serveOps } from "@culvert/telemetry";
import { enterSpan, expandContext, type SpanSpec, within } from "@culvert/tracing";
import { SpanKind } from "@opentelemetry/api";
import { Gateway } from "./adapters/gateway.ts";
import { createSignalingMetrics, type SignalingMetrics } from "./adapters/metrics.ts";
import { ReplicaBus } from "./adapters/replica-bus.ts";
import { Tokens } from "./adapters/tokens.ts";
import type { SignalingConfig } from "./config.ts";
import { HubLoop } from "./hub-loop.ts";
import { type ResolvedPorts, resolvePorts, type SignalingPorts } from "./ports.ts";

/** The first message of a session; below the request that its token was issued with. */
const HELLO: SpanSpec = { name: "hello", kind: SpanKind.SERVER };

type VerifyOutput = Extract<HubOutput, { readonly kind: "verify" }>;

/** Keys that may change while the service runs. */
const LIVE_KEYS = ["credential.token", "drain", "logLevel"] as const;

/** How long a start waits for the bus. Without it the service is not ready, but runs. */
const BUS_UP_MS = 3000;

export interface SignalingInfo {
  /** Where clients connect, with the port that was taken. */
  readonly listen: { readonly host: string; readonly port: number };
  /** `ws://host:port/v1/signaling`. */
  readonly url: string;
  /** Absent when the ops server is off. */
  readonly ops?: { readonly host: string; readonly port: number };
}

export interface SignalingService {
  /** Binds everything. Rejects with a ConfigError, or node's listen error; nothing stays open then. */
  start(): Promise<SignalingInfo>;
  /** Says goaway, waits until all clients went or `drain.timeout` is over, then closes everything. */
  stop(): Promise<void>;
  /** Takes over what may change of another configuration. */
  reload(next?: SignalingConfig): void;
  ready(): ReadyState;
  /** Undefined until the service has started. */
  readonly info: SignalingInfo | undefined;
}

/** Throws a ConfigError of one line if there is nowhere to get keys from. */
export function createSignalingService(config: SignalingConfig, ports: SignalingPorts = {}): SignalingService {
  const resolved = resolvePorts(config, ports);
  const { keys } = resolved;
  if (keys === undefined) {
    throw new ConfigError(
      "signaling.credential.target: missing: must be host:port of the credential service's gRPC listener (CULVERT_SIGNALING_CREDENTIAL_TARGET)",
    );
  }
  return new Signaling(config, { ...resolved, keys });
}

class Signaling implements SignalingService {
  #config: SignalingConfig;
  readonly #ports: ResolvedPorts;
  readonly #tokens: Tokens;
  readonly #hub: Hub;
  readonly #loop: HubLoop;
  readonly #gateway: Gateway;
  readonly #replicas: ReplicaBus;
  readonly #metrics: SignalingMetrics;
  readonly #life: Lifecycle<SignalingInfo> = new Lifecycle({
    start: () => this.#start(),
    drain: () => this.#drain(),
    stopped: () => this.#ports.logger.info("signaling stopped"),
  });
  readonly #untilEmpty: Wait = new Wait();
  #info: SignalingInfo | undefined;

  constructor(config: SignalingConfig, ports: ResolvedPorts & { readonly keys: NonNullable<ResolvedPorts["keys"]> }) {
    const replica = randomUUID();
    const { clock, random, bus } = ports;
    this.#config = config;
    this.#ports = ports;
    this.#tokens = new Tokens({ source: ports.keys, clock, onRevoked: () => this.#revoke() });
    const limits = limitsOf(config);
    const hubConfig = {
      replica,
      limits,
      beaconMs: config.cluster.beaconInterval * 1000,
      replicaTimeoutMs: config.cluster.replicaTimeout * 1000,
      retransmitMs: 500,
    };
    this.#hub = new Hub(hubConfig, { random, signer: this.#tokens.signer });
    this.#loop = new HubLoop(this.#hub, clock, (output) => this.#perform(output));
    this.#replicas = new ReplicaBus(bus, replica);
    this.#metrics = createSignalingMetrics(ports.metrics, {
      connections: () => this.#hub.connections,
      sessions: () => this.#hub.sessions,
      replicas: () => this.#hub.replicas.length,
      keys: () => this.#tokens.size,
      keysConnected: () => this.#tokens.connected,
      busUp: () => bus.health().up,
    });
    this.#gateway = new Gateway({
      ...config.listen,
      origins: config.origins,
      sources: new Sources(config.trustedProxies),
      maxConnections: config.maxConnections,
      maxConnectionsPerSource: config.maxConnectionsPerSource,
      maxPayload: limits.messageBytes,
      pingMs: limits.pingMs,
      handler: {
        opened: (id) => this.#loop.run((hub, now) => hub.handleOpen(id, now)),
        text: (id, text) => this.#loop.run((hub, now) => hub.handleText(id, text, now)),
        closed: (id, clean) => {
          this.#loop.run((hub, now) => hub.handleClosed(id, clean, now));
          if (this.#hub.connections === 0) this.#untilEmpty.end();
        },
        refused: (reason) => this.#metrics.refused(reason),
      },
    });
  }

  get info(): SignalingInfo | undefined {
    return this.#info;
  }

  async start(): Promise<SignalingInfo> {
    this.#info = await this.#life.start();
    return this.#info;
  }

  stop(): Promise<void> {
    return this.#life.stop();
  }

  reload(next?: SignalingConfig): void {
    if (next === undefined) return;
    const { logger, proof } = this.#ports;
    const plan = planChange(this.#config, next, LIVE_KEYS);
    this.#config = plan.config;
    if (plan.changed.includes("logLevel")) logger.level = plan.config.logLevel;
    proof?.set(plan.config.credential);
    tellChange(logger, "signaling", plan);
  }

  ready(): ReadyState {
    const bus = this.#ports.bus.health();
    const checks = {
      listener: this.#info === undefined ? "not bound yet" : "ok",
      keys: this.#tokens.loaded ? "ok" : "the credential service has not sent its keys yet",
      bus: bus.up ? "ok" : (bus.reason ?? "down"),
      drain: this.#life.stopping ? "the service stops" : "ok",
    };
    return { ready: Object.values(checks).every((check) => check === "ok"), checks };
  }

  async #start(): Promise<SignalingInfo> {
    const { bus, metrics, logger, ownBus, tracing } = this.#ports;
    await tracing.start();
    this.#life.onClose(async () => {
      await Promise.all([tracing.shutdown(), metrics.shutdown()]);
    });
    if (ownBus) this.#life.onClose(() => bus.close());
    this.#life.onClose(
      bus.onError((error, subject) => logger.error({ err: error, subject }, "a bus message could not be handled")),
      bus.onHealthChange(({ up, reason }) => logger.warn({ up, reason }, "bus health changed")),
    );
    this.#life.onClose(() => this.#loop.stop());
    await this.#join();
    this.#tokens.follow();
    this.#life.onClose(() => this.#tokens.close());
    const listen = await this.#gateway.listen();
    this.#life.onClose(() => this.#gateway.stop());
    const ops = await serveOps({ ...this.#config.ops, metrics, logger, ready: () => this.ready() }, (close) =>
      this.#life.onClose(close),
    );
    const host = listen.host.includes(":") ? `[${listen.host}]` : listen.host;
    const url = `ws://${host}:${listen.port}/v1/signaling`;
    logger.info({ listen, ops, replicas: this.#hub.replicas.length }, "signaling serves");
    return { listen, url, ...(ops === undefined ? {} : { ops }) };
  }

  /** Gets to know the other replicas before any client comes. */
  async #join(): Promise<void> {
    if (!(await untilUp(this.#ports.bus, BUS_UP_MS))) {
      this.#ports.logger.warn(this.#ports.bus.health(), "the bus is not up yet: other replicas are not known");
    }
    const others = await this.#replicas.hasOthers();
    await this.#replicas.subscribe((text) => this.#loop.run((hub, now) => hub.handleBus(text, now)));
    this.#life.onClose(() => this.#replicas.unsubscribe());
    this.#loop.run((hub, now) => hub.start(now));
    if (others) await delay(this.#config.cluster.settle * 1000);
  }

  #perform(output: HubOutput): void {
    switch (output.kind) {
      case "send":
        this.#gateway.send(output.connection, output.text);
        return;
      case "close":
        this.#gateway.close(output.connection, output.code, output.reason);
        return;
      case "verify":
        void this.#verify(output.id, output.token);
        return;
      case "bus":
        this.#publish(output.to, output.text);
        return;
      case "event":
        this.#metrics.observe(output.event);
        this.#log(output.event);
    }
  }

  async #verify(id: VerifyOutput["id"], token: string): Promise<void> {
    const startTime = Date.now();
    const { result, trace } = await this.#tokens.verify(token);
    const entry = enterSpan(this.#ports.tracing, { ...HELLO, startTime }, expandContext(trace));
    const tell = (): void => this.#loop.run((hub, now) => hub.handleVerified(id, result, now));
    if (entry === undefined) {
      tell();
      return;
    }
    entry.span.setAttribute("culvert.signaling.outcome", result.ok ? "accepted" : result.reason);
    within(entry.context, tell);
    entry.span.end();
  }

  #publish(to: string, text: string): void {
    try {
      this.#replicas.publish(to, text);
    } catch (error) {
      // The links between replicas repeat what was lost.
      this.#ports.logger.warn({ err: error }, "the bus did not take a message");
    }
  }

  #log(event: HubEvent): void {
    const { logger } = this.#ports;
    if (event.name === "session") logger.info(event, `session ${event.change}`);
    else if (event.name === "replica") logger.info(event, `replica ${event.change}`);
    else if (event.name === "refused") logger.debug(event, "refused");
  }

  #revoke(): void {
    this.#loop.run((hub, now) => hub.revoke((principal) => !this.#tokens.accepts(principal), now));
  }

  async #drain(): Promise<void> {
    if (this.#info === undefined) return;
    const graceMs = this.#config.drain.timeout * 1000;
    this.#gateway.drain();
    this.#loop.run((hub, now) => hub.drain(graceMs, now));
    if (this.#hub.connections > 0 && graceMs > 0) {
      this.#ports.logger.info({ connections: this.#hub.connections, graceMs }, "signaling drains");
      await this.#untilEmpty.atMost(graceMs);
    }
    this.#loop.run((hub, now) => hub.stop(now));
  }
}

function limitsOf({ session, limits }: SignalingConfig): Limits {
  return {
    ...DEFAULT_LIMITS,
    ...limits,
    helloTimeoutMs: session.helloTimeout * 1000,
    resumeTtlMs: session.resumeTtl * 1000,
    pingMs: session.pingInterval * 1000,
  };
}
