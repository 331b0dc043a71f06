import { hostname } from "node:os";
import { ConfigError, type CredentialConfig, GrpcProof, readTelemetryAccess } from "@culvert/config";
import { grpcKeySource } from "@culvert/contracts";
import type { KeySource } from "@culvert/credentials";
import type { Clock, DataPlane } from "@culvert/dataplane";
import { createDataPlane, nativeCrypto } from "@culvert/dataplane";
import { monotonicClock, nodeCrypto, systemRandom } from "@culvert/runtime";
import type { StunCrypto } from "@culvert/stun";
import {
  createLogger,
  createMetrics,
  createTracing,
  type Logger,
  type Metrics,
  type ServiceTracing,
} from "@culvert/telemetry";
import type { RandomSource } from "@culvert/turn";
import { type Resolver, systemResolver } from "./adapters/own-backends.ts";
import { mobilityOf, type RelayConfig } from "./config.ts";
import type { GivenBackends } from "./fleet/backends.ts";
import { FleetTime } from "./fleet/fleet-time.ts";

/** What a relay takes from outside. Whatever is absent is the real thing, made from the configuration. */
export interface RelayPorts {
  readonly dataPlane?: DataPlane;
  /** Default: the credential service of `credential.target`, if there is one. */
  readonly keys?: KeySource;
  readonly clock?: Clock;
  readonly random?: RandomSource;
  readonly crypto?: StunCrypto;
  readonly logger?: Logger;
  readonly metrics?: Metrics;
  readonly tracing?: ServiceTracing;
  readonly resolver?: Resolver;
  /** File descriptors that the process may open. Default: what the system says. */
  readonly descriptorLimit?: number;
  /** Names hosts of the platform that are no peers. Default: that of the process. */
  readonly env?: NodeJS.ProcessEnv;
  /** Of `relay.fleet`. Default: Redis and NATS. */
  readonly fleet?: GivenBackends;
}

/** The ports with nothing missing. */
export interface ResolvedPorts extends Required<Omit<RelayPorts, "keys" | "descriptorLimit">> {
  readonly keys: KeySource | undefined;
  /** How this relay proves itself to the credential service, where it follows one itself. */
  readonly proof: GrpcProof | undefined;
  /** Whose clock it is, in a fleet. */
  readonly time: FleetTime;
}

export function resolvePorts(config: RelayConfig, ports: RelayPorts): ResolvedPorts {
  const time = new FleetTime(ports.clock ?? monotonicClock);
  const { clock } = time;
  const logger = ports.logger ?? createLogger({ service: "relay", level: config.logLevel });
  const env = ports.env ?? process.env;
  const access = readTelemetryAccess("relay.telemetry", config.telemetry, env);
  const tracing = ports.tracing ?? createTracing({ service: "relay", access, logger });
  const proof = ports.keys === undefined ? proofOf(config.credential, logger) : undefined;
  return {
    clock,
    time,
    fleet: ports.fleet ?? {},
    logger,
    tracing,
    dataPlane: ports.dataPlane ?? openDataPlane(config, clock, logger),
    random: ports.random ?? systemRandom,
    crypto: ports.crypto ?? (config.dataPlane.kind === "node" ? nodeCrypto : nativeCrypto(nodeCrypto)),
    metrics: ports.metrics ?? createMetrics({ service: "relay", access, logger }),
    resolver: ports.resolver ?? systemResolver,
    env,
    proof,
    keys: ports.keys ?? credentialService(config.credential, proof, logger, tracing),
  };
}

function proofOf({ target, ...proof }: CredentialConfig, logger: Logger): GrpcProof | undefined {
  if (target === undefined) return undefined;
  return new GrpcProof("relay.credential", proof, (problem) => logger.error({ problem }, "credentials not read again"));
}

function credentialService(
  { target }: CredentialConfig,
  proof: GrpcProof | undefined,
  logger: Logger,
  tracing: ServiceTracing,
): KeySource | undefined {
  if (target === undefined) return undefined;
  const credentials = () => proof?.read() ?? {};
  return grpcKeySource({ target, watcher: `relay ${hostname()}`, credentials, logger, tracing });
}

function openDataPlane(config: RelayConfig, clock: Clock, logger: Logger): DataPlane {
  const { dataPlane } = config;
  const clientsMove = mobilityOf(config) === "allowed";
  const onPortable = (reason: string): void => logger.info(`using the portable data plane: ${reason}`);
  try {
    return createDataPlane({ ...dataPlane, clock, answersBindings: true, clientsMove, onPortable });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`relay.dataPlane.kind: ${dataPlane.kind}: ${reason}`);
  }
}
