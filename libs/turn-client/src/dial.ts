import { lookup } from "node:dns/promises";
import { type AddressFamily, canonicalIp, familyOf } from "@culvert/stun";
import { describe, TurnError } from "./errors.ts";
import { openStream } from "./stream-transport.ts";
import type { Endpoint, Transport, TransportEvents, TransportOptions } from "./transport.ts";
import { openUdp } from "./udp-transport.ts";

/**
 * The IP addresses of a host, those of `localAddress`'s family if that is given.
 *
 * @throws TurnError `unreachable`, step `resolve`
 */
export async function resolveHost(host: string, localAddress?: string): Promise<readonly string[]> {
  const ip = canonicalIp(host);
  if (ip !== undefined) return [ip];
  const family: AddressFamily | 0 = localAddress === undefined ? 0 : familyOf(localAddress);
  try {
    const found = await lookup(host, { all: true, family, verbatim: false });
    return found.map(({ address }) => canonicalIp(address) ?? address);
  } catch (cause) {
    throw new TurnError({ kind: "unreachable", step: "resolve", reason: `${host}: ${describe(cause)}`, cause });
  }
}

/**
 * Opens a transport to exactly one address.
 *
 * @throws TurnError `timeout`, `unreachable` or `tls`, step `connect`
 */
export function openTransport(
  endpoint: Endpoint,
  options: TransportOptions,
  events: TransportEvents,
): Promise<Transport> {
  return endpoint.kind === "udp" ? openUdp(endpoint, options, events) : openStream(endpoint, options, events);
}

/** Opens a transport to the first of several addresses that answers. Over UDP nothing answers: it is the first. */
export async function openFirst(
  endpoints: readonly Endpoint[],
  options: TransportOptions,
  events: TransportEvents,
): Promise<Transport> {
  let last: unknown;
  for (const endpoint of endpoints) {
    try {
      return await openTransport(endpoint, options, events);
    } catch (error) {
      last = error;
    }
  }
  throw last ?? new TurnError({ kind: "unreachable", step: "resolve", reason: "the host has no addresses" });
}
