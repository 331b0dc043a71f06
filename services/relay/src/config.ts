import type { CertificateFiles, CredentialConfig, GrpcServerTls, OpsConfig, TelemetryConfig } from "@culvert/config";
import type { DataPlaneKind, DataPlaneLimits } from "@culvert/dataplane";
import type { Mobility } from "@culvert/turn";
import type { ExternalAddressConfig } from "./external/config.ts";
import type { FleetConfig } from "./fleet/config.ts";

/** The configuration of a relay, checked and frozen. What each key means stands in its schema. */
export interface RelayConfig {
  readonly realm: string;
  readonly software?: string;
  readonly listeners: readonly ListenerConfig[];
  readonly tls?: CertificateFiles;
  readonly addresses: readonly RelayAddress[];
  readonly externalAddress?: ExternalAddressConfig;
  readonly ports: { readonly min: number; readonly max: number };
  readonly lifetime: { readonly default: number; readonly max: number };
  readonly auth: AuthConfig;
  readonly credential: CredentialConfig;
  readonly peers: PeersConfig;
  readonly quotas: { readonly user?: number; readonly tenant?: number; readonly total?: number };
  readonly rfc5766Channels: boolean;
  /** Absent: see `mobilityOf`. */
  readonly mobility?: Mobility;
  readonly limits: LimitsConfig;
  readonly dataPlane: DataPlaneConfig;
  readonly drain: { readonly timeout: number };
  readonly fleet?: FleetConfig;
  readonly grpc?: AdminConfig;
  readonly telemetry: TelemetryConfig;
  readonly ops: OpsConfig;
  readonly logLevel: string;
  readonly logAddresses: "hashed" | "plain";
}

/** What becomes of mobility tickets where the configuration does not say. */
export function mobilityOf({ mobility, fleet }: Pick<RelayConfig, "mobility" | "fleet">): Mobility {
  return mobility ?? (fleet === undefined ? "ignored" : "allowed");
}

/** Where operators reach the relay. */
export interface AdminConfig {
  readonly host: string;
  readonly port: number;
  readonly token?: string;
  readonly tls?: GrpcServerTls;
}

export interface ListenerConfig {
  readonly transport: "udp" | "tcp" | "tls";
  readonly ip: string;
  readonly port: number;
  /** Name of the client-facing address space: listeners behind one address that clients know share it. */
  readonly frontend?: string;
}

export interface RelayAddress {
  readonly ip: string;
  readonly external?: string;
}

export interface StaticUser {
  readonly username: string;
  readonly password: string;
  readonly tenant: string;
}

export interface AuthConfig {
  readonly nonceKeys: readonly string[];
  readonly nonceLifetime: number;
  readonly algorithms: readonly ("sha256" | "md5")[];
  readonly users: readonly StaticUser[];
  readonly secrets: readonly string[];
}

export interface PeersConfig {
  readonly allow: readonly string[];
  readonly dangerouslyAllow: readonly string[];
  readonly deny: readonly string[];
  readonly backends: readonly string[];
  readonly fleet: readonly {
    readonly range: string;
    readonly ports?: { readonly min: number; readonly max: number };
  }[];
}

export interface LimitsConfig {
  readonly permissions: number;
  readonly channels: number;
  readonly maxBps?: number;
  readonly newPeersPerSecond: number;
  readonly newPeersBurst: number;
  readonly unauthenticatedPerSecond: number;
  readonly unauthenticatedBurst: number;
  readonly wrongPasswordsPerSecond: number;
  readonly wrongPasswordsBurst: number;
}

export interface DataPlaneConfig extends Omit<DataPlaneLimits, "streamHalfCloseMs"> {
  readonly kind: DataPlaneKind;
  readonly workers?: number;
}
