import { isIP } from "node:net";
import { z } from "zod";
import { secret } from "./meta.ts";

/** An IPv4 or IPv6 address without brackets and without a zone. */
export function ipAddress(): z.ZodString {
  return z.string().refine((text) => isIP(text) !== 0 && !text.includes("%"), "must be an IPv4 or IPv6 address");
}

/** An address, or a range such as 10.0.0.0/8 or fc00::/7. */
export function ipRange(): z.ZodString {
  return z.string().refine(isRange, "must be an IP address or a range such as 10.0.0.0/8");
}

function isRange(text: string): boolean {
  const [ip = "", length, ...rest] = text.split("/");
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(ip)] ?? -1;
  if (bits < 0 || ip.includes("%") || rest.length > 0) return false;
  return length === undefined || (/^(0|[1-9]\d{0,2})$/.test(length) && Number(length) <= bits);
}

/** 1 to 65535, or 0 for a free port. */
export function listenPort(): z.ZodInt {
  return z.int().min(0).max(65535);
}

export function port(): z.ZodInt {
  return z.int().min(1).max(65535);
}

/** `host:port` of a gRPC server, an IPv6 address in brackets. */
export function grpcTarget(): z.ZodString {
  return z
    .string()
    .regex(/^([^\s:/[\]]+|\[[0-9a-fA-F:.]+\]):\d{1,5}$/, "must be host:port, an IPv6 address in brackets");
}

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

export function logLevel(): z.ZodDefault<z.ZodEnum<z.core.util.ToEnum<(typeof LOG_LEVELS)[number]>>> {
  return z.enum(LOG_LEVELS).default("info").describe("The least level that is logged.");
}

/** The key `ops` of every service. */
export function opsSection(defaultPort: number): z.ZodPrefault<z.ZodObject<OpsShape, z.core.$strict>> {
  return z
    .strictObject({
      enabled: z.boolean().default(true).describe("Whether the ops server runs."),
      host: ipAddress()
        .default("127.0.0.1")
        .describe("Address of the ops server. In a pod: 0.0.0.0, for the probes and the metrics."),
      port: listenPort().default(defaultPort).describe("TCP port of the ops server; 0 takes a free one."),
    })
    .prefault({})
    .describe("HTTP: /healthz/live, /healthz/ready, /metrics.");
}

type OpsShape = {
  enabled: z.ZodDefault<z.ZodBoolean>;
  host: z.ZodDefault<z.ZodString>;
  port: z.ZodDefault<z.ZodInt>;
};

/** How a client of an internal gRPC server proves itself and recognises the server. */
export function grpcClientTls(): z.ZodExactOptional<z.ZodObject<GrpcClientTlsShape, z.core.$strict>> {
  return z
    .strictObject({
      ca: z.string().exactOptional().describe("PEM file with the authorities to trust; otherwise the system's."),
      cert: z.string().exactOptional().describe("PEM file of the client certificate, for mTLS."),
      key: z.string().exactOptional().describe("PEM file of the client certificate's key."),
    })
    .exactOptional()
    .describe("TLS to the server; plaintext when absent, the system's authorities when empty.");
}

type GrpcClientTlsShape = {
  ca: z.ZodExactOptional<z.ZodString>;
  cert: z.ZodExactOptional<z.ZodString>;
  key: z.ZodExactOptional<z.ZodString>;
};

/** A token that two services share. */
export function sharedToken(): z.ZodString {
  return secret(z.string().min(16));
}
