import { hostname } from "node:os";
import {
  type CredentialConfig,
  GrpcProof,
  type NatsConfig,
  readNatsAccess,
  readTelemetryAccess,
} from "@culvert/config";
import { grpcKeySource, withRevocationHints } from "@culvert/contracts";
import type { KeySource } from "@culvert/credentials";
import { createMemoryBus, createNatsBus, type EventBus, tracedBus } from "@culvert/events";
import type { RandomSource } from "@culvert/rendezvous";
import { monotonicClock, systemRandom } from "@culvert/runtime";
import {
  createLogger,
  createMetrics,
  createNatsMetrics,
  createTracing,
  type Logger,
  type Metrics,
  type ServiceTracing,
} from "@culvert/telemetry";
import type { SignalingConfig } from "./config.ts";

/** What the service takes from outside. Whatever is absent is the real thing, made from the configuration. */
export interface SignalingPorts {
  /** Joins the replicas. Default: the servers of `nats`; without, one in memory, which makes this replica the only one. */
  readonly bus?: EventBus;
  /** Default: the credential service of `credential.target`, if there is one. */
  readonly keys?: KeySource;
  /** Milliseconds since the Unix epoch, never going back. */
  readonly clock?: () => number;
  readonly random?: RandomSource;
  readonly logger?: Logger;
  readonly metrics?: Metrics;
  readonly tracing?: ServiceTracing;
}

/** The ports with nothing missing but the keys. */
export interface ResolvedPorts extends Required<Omit<SignalingPorts, "keys">> {
  readonly keys: KeySource | undefined;
  /** How this service proves itself to the credential service, where it follows one itself. */
  readonly proof: GrpcProof | undefined;
  /** Whether the bus is the service's own, to be closed with it. */
  readonly ownBus: boolean;
}

export function resolvePorts(config: SignalingConfig, ports: SignalingPorts): ResolvedPorts {
  const logger = ports.logger ?? createLogger({ service: "signaling", level: config.logLevel });
  const access = readTelemetryAccess("signaling.telemetry", config.telemetry, process.env);
  const metrics = ports.metrics ?? createMetrics({ service: "signaling", access, logger });
  const tracing = ports.tracing ?? createTracing({ service: "signaling", access, logger });
  const plain = ports.bus ?? openBus(config.nats, metrics);
  const bus = tracing.configured ? tracedBus(plain, tracing) : plain;
  const proof = ports.keys === undefined ? proofOf(config.credential, logger) : undefined;
  return {
    bus,
    ownBus: ports.bus === undefined,
    proof,
    keys: ports.keys ?? credentialService(config.credential, proof, bus, logger, tracing),
    clock: ports.clock ?? monotonicClock,
    random: ports.random ?? systemRandom,
    logger,
    metrics,
    tracing,
  };
}

function proofOf({ target, ...proof }: CredentialConfig, logger: Logger): GrpcProof | undefined {
  if (target === undefined) return undefined;
  const onProblem = (problem: string): void => logger.error({ problem }, "credentials not read again");
  return new GrpcProof("signaling.credential", proof, onProblem);
}

function credentialService(
  { target }: CredentialConfig,
  proof: GrpcProof | undefined,
  bus: EventBus,
  logger: Logger,
  tracing: ServiceTracing,
): KeySource | undefined {
  if (target === undefined) return undefined;
  const credentials = () => proof?.read() ?? {};
  const source = grpcKeySource({ target, watcher: `signaling ${hostname()}`, credentials, logger, tracing });
  return withRevocationHints(source, bus);
}

function openBus(nats: NatsConfig | undefined, { meter }: Metrics): EventBus {
  if (nats === undefined) return createMemoryBus();
  const observer = createNatsMetrics(meter, "culvert_signaling");
  const name = `culvert-signaling ${hostname()}`;
  return createNatsBus({ ...readNatsAccess("signaling.nats", nats), name, observer });
}
