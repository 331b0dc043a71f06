import { z } from "zod";
import { attemptId, duration, ip, label, port } from "./parts.ts";

export interface Endpoint {
  readonly kind: "host" | "srflx" | "prflx" | "relay";
  readonly transport: "udp" | "tcp";
  readonly ip: string;
  readonly port: number;
  /** For a mapped or relayed endpoint: the local one it belongs to. */
  readonly base?: { readonly ip: string; readonly port: number };
}

/** Where a peer can be reached, private and public: replaces what it said before. */
export interface EndpointsUpdate {
  readonly endpoints: readonly Endpoint[];
}

export const endpointsUpdate: z.ZodType<EndpointsUpdate> = z.strictObject({
  endpoints: z
    .array(
      z.strictObject({
        kind: z.enum(["host", "srflx", "prflx", "relay"]),
        transport: z.enum(["udp", "tcp"]),
        ip,
        port,
        base: z.strictObject({ ip, port }).exactOptional(),
      }),
    )
    .max(64),
});

/** RFC 4787 sections 4.1 and 5. */
export type NatBehaviour = "endpoint-independent" | "address-dependent" | "address-and-port-dependent" | "unknown";

/** What the peer found out about its NAT (RFC 5780), replaces what it said before. */
export interface NatReport {
  readonly mapping: NatBehaviour;
  readonly filtering: NatBehaviour;
  readonly hairpin?: boolean;
  /** How the NAT picks the next external port. */
  readonly alloc?: {
    readonly kind: "preserving" | "sequential" | "random" | "unknown";
    /** Ports between two mappings in a row. */
    readonly delta?: number;
    /** The lowest and the highest external port seen. */
    readonly range?: readonly [number, number];
    /** New mappings a second by others. */
    readonly rate?: number;
  };
  readonly udp: boolean;
  readonly tcp: boolean;
  readonly v6: boolean;
}

const behaviour = z.enum(["endpoint-independent", "address-dependent", "address-and-port-dependent", "unknown"]);

export const natReport: z.ZodType<NatReport> = z.strictObject({
  mapping: behaviour,
  filtering: behaviour,
  hairpin: z.boolean().exactOptional(),
  alloc: z
    .strictObject({
      kind: z.enum(["preserving", "sequential", "random", "unknown"]),
      delta: z.int().min(-65535).max(65535).exactOptional(),
      range: z.tuple([port, port]).exactOptional(),
      rate: z.number().min(0).max(1_000_000).exactOptional(),
    })
    .exactOptional(),
  udp: z.boolean(),
  tcp: z.boolean(),
  v6: z.boolean(),
});

/** The path that two peers use now. */
export interface PathUpdate {
  readonly attemptId?: string;
  readonly path: "direct" | "relay" | "none";
  readonly transport?: "udp" | "tcp" | "tls" | "dtls";
  /** The candidate pair, or the like, in the application's words. */
  readonly detail?: string;
}

export const pathUpdate: z.ZodType<PathUpdate> = z.strictObject({
  attemptId: z.exactOptional(attemptId),
  path: z.enum(["direct", "relay", "none"]),
  transport: z.enum(["udp", "tcp", "tls", "dtls"]).exactOptional(),
  detail: z.exactOptional(label(256)),
});

/** How one step of an attempt ended. */
export interface AttemptResult {
  readonly attemptId?: string;
  readonly step: string;
  readonly ok: boolean;
  readonly reason?: string;
  /** How long the step took. */
  readonly ms: number;
}

export const attemptResult: z.ZodType<AttemptResult> = z.strictObject({
  attemptId: z.exactOptional(attemptId),
  step: label(64),
  ok: z.boolean(),
  reason: z.exactOptional(label(128)),
  ms: duration,
});
