/** The configuration of a STUN server, checked and frozen. What each key means stands in its schema. */
export interface StunConfig {
  readonly listeners: readonly ListenerConfig[];
  readonly tls?: { readonly cert: string; readonly key: string; readonly checkInterval: number };
  readonly alternate?: AlternateConfig;
  readonly partner?: PartnerConfig;
  readonly dataPlane: DataPlaneConfig;
  readonly ops: { readonly enabled: boolean; readonly host: string; readonly port: number };
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
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  readonly interval: number;
  readonly listen?: {
    readonly ip: string;
    readonly port: number;
    readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string };
  };
}

export interface DataPlaneConfig {
  readonly recvBufferSize: number;
  readonly sendBufferSize: number;
  readonly streamFirstMessageMs: number;
  readonly streamFrameMs: number;
  readonly streamIdleMs: number;
  readonly maxStreams: number;
  readonly maxStreamsPerSource: number;
}
