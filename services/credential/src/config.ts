import type { GrpcServerTls, NatsConfig, OpsConfig, RedisConfig, TelemetryConfig } from "@culvert/config";

/** The configuration of the credential service, checked and frozen. What each key means stands in its schema. */
export interface CredentialServiceConfig {
  readonly http: HttpConfig;
  readonly grpc: GrpcConfig;
  readonly publicHost?: string;
  readonly turn: TurnPortsConfig;
  readonly uris: readonly string[];
  readonly adminToken?: string;
  readonly staticAuthSecrets: readonly string[];
  readonly tenants: readonly TenantConfig[];
  readonly issue: IssueConfig;
  readonly failures: FailuresConfig;
  readonly maxRevocations: number;
  readonly redis?: RedisConfig;
  readonly nats?: NatsConfig;
  readonly telemetry: TelemetryConfig;
  readonly ops: OpsConfig;
  readonly logLevel: string;
}

export interface HttpConfig {
  readonly host: string;
  readonly port: number;
  readonly corsOrigins: readonly string[];
  readonly trustedProxies: readonly string[];
  readonly maxBodyBytes: number;
  readonly requestTimeout: number;
  /** Seconds. */
  readonly drain: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerSource: number;
}

export interface GrpcConfig {
  readonly enabled: boolean;
  readonly host: string;
  readonly port: number;
  readonly token?: string;
  readonly tls?: GrpcServerTls;
  readonly maxWatchers: number;
}

export interface TurnPortsConfig {
  readonly stunPort: number;
  readonly port: number;
  readonly transports: readonly ("udp" | "tcp")[];
  readonly tlsPort?: number;
}

export interface TenantConfig {
  readonly id: string;
  readonly name?: string;
  readonly quotas: { readonly allocationsPerUser?: number; readonly bytesPerSecond?: number };
  readonly limits: { readonly maxTtl?: number };
  readonly keys: readonly KeyConfig[];
  readonly tokens: readonly TokenConfig[];
}

export interface KeyConfig {
  readonly kid: string;
  readonly secret: string;
  readonly notAfter?: number;
}

export interface TokenConfig {
  readonly id: string;
  readonly token: string;
  readonly name?: string;
  readonly scopes: readonly Scope[];
}

export interface IssueConfig {
  readonly traceContext: boolean;
  readonly defaultTtl: number;
  readonly maxTtl: number;
}

export interface FailuresConfig {
  readonly burst: number;
  readonly perMinute: number;
  readonly maxSources: number;
}

/** What an API token may do, always within its own tenant. */
export const SCOPES = [
  /** Issue TURN credentials. */
  "credentials:issue",
  /** Revoke usernames and users. */
  "credentials:revoke",
  /** Issue tokens for the signaling service. */
  "signaling:issue",
  /** Create, rotate, retire and delete signing keys. */
  "keys:admin",
  /** Create, list and delete API tokens; only with scopes that the creating token has itself. */
  "tokens:admin",
  /** Read and change the tenant. */
  "tenants:admin",
] as const;

export type Scope = (typeof SCOPES)[number];

/** What an application's own token needs. */
export const APPLICATION_SCOPES: readonly Scope[] = ["credentials:issue", "credentials:revoke", "signaling:issue"];
