import type { NatsConfig, RedisConfig } from "@culvert/config";

/** Section `relay.fleet`, checked. What each key means stands in its schema. */
export interface FleetConfig {
  readonly identity?: string;
  readonly host?: string;
  readonly secrets: readonly string[];
  readonly redis: RedisConfig;
  readonly nats?: NatsConfig;
  readonly failover: "identity" | "address";
  readonly lease: { readonly ttl: number; readonly outage: number };
  readonly slots: { readonly ports: number; readonly max?: number };
  readonly mesh?: MeshConfig;
  readonly advertise: readonly { readonly ip: string; readonly port: number }[];
  readonly onStateLoss: "refuse" | "grant";
  readonly usage: { readonly interval: number };
  readonly lookups: { readonly perSecond: number; readonly burst: number };
}

export interface MeshConfig {
  readonly ip: string;
  readonly port: number;
  readonly external?: string;
}
