import { canonicalIp, familyOf } from "./address.ts";
import { DEFAULT_PORT, DEFAULT_TLS_PORT } from "./constants.ts";

/** RFC 7064. */
export interface StunUri {
  readonly scheme: "stun" | "stuns";
  /** A name, an IPv4 address, or an IPv6 address without brackets. */
  readonly host: string;
  /** 1 to 65535. */
  readonly port: number;
}

/** RFC 7065. `turns` with `udp` is TURN over DTLS. */
export interface TurnUri {
  readonly scheme: "turn" | "turns";
  /** A name, an IPv4 address, or an IPv6 address without brackets. */
  readonly host: string;
  /** 1 to 65535. */
  readonly port: number;
  readonly transport: "udp" | "tcp";
}

interface Parts {
  readonly scheme: string;
  readonly host: string;
  readonly port: number | undefined;
  readonly query: string | undefined;
}

const SHAPE = /^([a-z]+):(?:\[([0-9a-f:.]+)\]|([^[\]:/?#@]+))(?::([0-9]*))?(?:\?(.*))?$/i;
/** reg-name of RFC 3986 section 3.2.2. */
const REG_NAME = /^(?:[a-z0-9\-._~!$&'()*+,;=]|%[0-9a-f]{2})+$/i;

function parseHost(literal: string | undefined, name: string | undefined): string | undefined {
  if (literal !== undefined) {
    const ip = canonicalIp(literal);
    return ip !== undefined && familyOf(ip) === 6 ? ip : undefined;
  }
  return name !== undefined && REG_NAME.test(name) ? name.toLowerCase() : undefined;
}

function parseParts(text: string): Parts | undefined {
  const match = SHAPE.exec(text);
  if (!match) return undefined;
  const [, scheme = "", literal, name, digits, query] = match;
  const host = parseHost(literal, name);
  if (host === undefined) return undefined;
  const port = digits === undefined || digits === "" ? undefined : Number(digits);
  if (port !== undefined && (port < 1 || port > 0xffff)) return undefined;
  return { scheme: scheme.toLowerCase(), host, port, query };
}

function defaultPort(scheme: string): number {
  return scheme.endsWith("s") ? DEFAULT_TLS_PORT : DEFAULT_PORT;
}

function formatHost(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

/** Reads `stun:host`, `stuns:host:port` and the like. The default port is 3478, with `stuns` 5349. */
export function parseStunUri(text: string): StunUri | undefined {
  const parts = parseParts(text);
  if (!parts || parts.query !== undefined) return undefined;
  const { scheme, host } = parts;
  if (scheme !== "stun" && scheme !== "stuns") return undefined;
  return { scheme, host, port: parts.port ?? defaultPort(scheme) };
}

/** `stun:host:port`, with the port always there. */
export function formatStunUri(uri: StunUri): string {
  return `${uri.scheme}:${formatHost(uri.host)}:${uri.port}`;
}

function parseTransport(query: string | undefined, scheme: "turn" | "turns"): TurnUri["transport"] | undefined {
  if (query === undefined) return scheme === "turn" ? "udp" : "tcp";
  const transport = /^transport=(udp|tcp)$/i.exec(query)?.[1]?.toLowerCase();
  return transport === "udp" || transport === "tcp" ? transport : undefined;
}

/**
 * Reads `turn:host`, `turns:host:port?transport=tcp` and the like. The default port is 3478, with `turns` 5349; the
 * default transport is UDP, with `turns` TCP (RFC 7065 section 3.1). Extension transports are not known.
 */
export function parseTurnUri(text: string): TurnUri | undefined {
  const parts = parseParts(text);
  if (!parts) return undefined;
  const { scheme, host } = parts;
  if (scheme !== "turn" && scheme !== "turns") return undefined;
  const transport = parseTransport(parts.query, scheme);
  return transport && { scheme, host, port: parts.port ?? defaultPort(scheme), transport };
}

/** `turn:host:port?transport=udp`, with port and transport always there. */
export function formatTurnUri(uri: TurnUri): string {
  return `${uri.scheme}:${formatHost(uri.host)}:${uri.port}?transport=${uri.transport}`;
}
