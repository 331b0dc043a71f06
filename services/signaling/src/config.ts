import type { CredentialConfig, NatsConfig, OpsConfig, TelemetryConfig } from "@culvert/config";

/** The configuration of the signaling service, checked and frozen. What each key means stands in its schema. */
export interface SignalingConfig {
  readonly listen: { readonly host: string; readonly port: number };
  readonly origins: readonly string[];
  readonly trustedProxies: readonly string[];
  readonly maxConnections: number;
  readonly maxConnectionsPerSource: number;
  readonly credential: CredentialConfig;
  readonly nats?: NatsConfig;
  readonly session: SessionConfig;
  readonly limits: LimitsConfig;
  readonly cluster: ClusterConfig;
  readonly drain: { readonly timeout: number };
  readonly telemetry: TelemetryConfig;
  readonly ops: OpsConfig;
  readonly logLevel: string;
}

/** Seconds. */
export interface SessionConfig {
  readonly helloTimeout: number;
  readonly resumeTtl: number;
  readonly pingInterval: number;
}

export interface LimitsConfig {
  readonly messageBytes: number;
  readonly depth: number;
  readonly outboxMessages: number;
  readonly outboxBytes: number;
  readonly messagesPerSecond: number;
  readonly messageBurst: number;
  readonly roomsPerSession: number;
  readonly membersPerRoom: number;
  readonly sessionsPerUser: number;
  readonly watchesPerSession: number;
}

/** Seconds. */
export interface ClusterConfig {
  readonly beaconInterval: number;
  readonly replicaTimeout: number;
  readonly settle: number;
}
