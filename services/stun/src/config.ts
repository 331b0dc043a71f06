import type { CertificateFiles, GrpcClientTls, GrpcServerTls, OpsConfig, TelemetryConfig } from "@culvert/config";
import type { DataPlaneKind, DataPlaneLimits } from "@culvert/dataplane";

/** The configuration of a STUN server, checked and frozen. What each key means stands in its schema. */
export interface StunConfig {
  readonly listeners: readonly ListenerConfig[];
  readonly tls?: CertificateFiles;
  readonly alternate?: AlternateConfig;
  readonly partner?: PartnerConfig;
  readonly dataPlane: DataPlaneConfig;
  readonly telemetry: TelemetryConfig;
  readonly ops: OpsConfig;
  readonly logLevel: string;
}

export interface ListenerConfig {
  readonly transport: "udp" | "tcp" | "tls";
  readonly ip: string;
  readonly port: number;
  readonly external?: string;
}

export interface AlternateConfig {
  readonly port: number;
  readonly ips: readonly { readonly ip: string; readonly external?: string }[];
}

export interface PartnerConfig {
  readonly target?: string;
  readonly token: string;
  readonly tls?: GrpcClientTls;
  readonly interval: number;
  readonly listen?: {
    readonly ip: string;
    readonly port: number;
    readonly tls?: GrpcServerTls;
  };
}

export type DataPlaneConfig = Pick<
  DataPlaneLimits,
  | "recvBufferSize"
  | "sendBufferSize"
  | "streamFirstMessageMs"
  | "streamFrameMs"
  | "streamIdleMs"
  | "maxStreams"
  | "maxStreamsPerSource"
> & {
  readonly kind: DataPlaneKind;
  /** Of the native data plane. */
  readonly workers: number;
};
