/** Section `relay.externalAddress`, checked. What each key means stands in its schema. */
export interface ExternalAddressConfig {
  readonly ipv4?: string;
  readonly ipv6?: string;
  readonly allowPrivate: boolean;
  readonly wait: number;
  readonly node?: NodeConfig;
  readonly service?: ServiceConfig;
  readonly stun?: StunConfig;
  readonly kubernetes: KubernetesConfig;
}

export interface NodeConfig {
  readonly name?: string;
  readonly annotation: string;
}

export interface ServiceConfig {
  readonly name: string;
  readonly namespace?: string;
}

export interface StunConfig {
  readonly servers: readonly { readonly host: string; readonly port: number }[];
  readonly interval: number;
}

export interface KubernetesConfig {
  readonly server?: string;
  readonly tokenFile: string;
  readonly caFile: string;
}
