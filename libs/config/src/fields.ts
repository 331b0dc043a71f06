import { isIP } from "node:net";
import { z } from "zod";
import { secret } from "./meta.ts";

/** An IPv4 or IPv6 address without brackets and without a zone. */
export function ipAddress(): z.ZodString {
  return z.string().refine(isIpAddress, "must be an IPv4 or IPv6 address");
}

/** The same, or `auto`: see `automaticAddress`. */
export function ipAddressOrAuto(): z.ZodString {
  return z.string().refine((text) => text === "auto" || isIpAddress(text), "must be an IPv4 or IPv6 address, or auto");
}

/** Whether {@link ipAddress} takes the text. */
export function isIpAddress(text: string): boolean {
  return isIP(text) !== 0 && !text.includes("%");
}

/** An address, or coturn's `public/private`, as the keys that stand for it. Neither address is looked at. */
export function splitAddress(text: string): { ip: string; external?: string } {
  const [first = "", second, ...rest] = text.split("/");
  return second === undefined || rest.length > 0 ? { ip: text } : { ip: second, external: first };
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

/** An origin (RFC 6454) as browsers write it; with `orAny` also `*`. */
export function origin(orAny: "*" | undefined = undefined): z.ZodString {
  return z
    .string()
    .refine(
      (text) => text === orAny || isOrigin(text),
      `must be an origin such as https://app.example.org${orAny === undefined ? "" : ", or *"}`,
    );
}

function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text;
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

export interface OpsConfig {
  readonly enabled: boolean;
  readonly host: string;
  readonly port: number;
}

/** The key `ops` of every service. */
export function opsSection(defaultPort: number): z.ZodType<OpsConfig> {
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

/** A token that two services share. */
export function sharedToken(): z.ZodString {
  return secret(z.string().min(16));
}
