import { automaticAddress, ConfigError, type HostAddress, hostAddresses } from "@culvert/config";
import { canonicalIp, type TransportAddress } from "@culvert/stun";
import type { ListenerConfig, RelayAddress, RelayConfig } from "./config.ts";

/** Brings every address to its canonical text and `auto` to the first address that is not loopback, IPv4 before IPv6. */
export function resolveRelayAddresses(
  addresses: readonly RelayAddress[],
  host: readonly HostAddress[] = hostAddresses(),
): readonly RelayAddress[] {
  return addresses.map(({ ip, external }, index) => {
    const local = ip === "auto" ? automatic(index, host) : canonical(ip);
    return external === undefined ? { ip: local } : { ip: local, external: canonical(external) };
  });
}

function automatic(index: number, host: readonly HostAddress[]): string {
  const found = automaticAddress(host);
  if (found !== undefined) return canonical(found);
  throw new ConfigError(
    `relay.addresses[${index}]: auto: must be an address, since this host has none but loopback (CULVERT_RELAY_ADDRESSES)`,
  );
}

export function canonical(ip: string): string {
  return canonicalIp(ip) ?? ip;
}

const WILDCARDS: Readonly<Record<string, 4 | 6>> = { "0.0.0.0": 4, "::": 6 };

/** Whether a listener takes packets for the address: it is bound to it, or to all of its family. `::` takes IPv6 only. */
export function listensOn(listener: ListenerConfig, ip: string): boolean {
  if (listener.ip === ip) return true;
  const family = WILDCARDS[listener.ip];
  return family !== undefined && (ip === "auto" || family === (ip.includes(":") ? 6 : 4));
}

/** Where clients reach the listeners, as far as the configuration tells. */
export function advertisedAddresses(
  listeners: readonly ListenerConfig[],
  relays: readonly RelayAddress[],
): readonly TransportAddress[] {
  const found = new Map<string, TransportAddress>();
  for (const listener of listeners) {
    const { port } = listener;
    const ips = relays.filter(({ ip }) => listensOn(listener, ip)).map(({ ip, external }) => external ?? ip);
    if (ips.length === 0 && WILDCARDS[listener.ip] === undefined) ips.push(listener.ip);
    for (const ip of ips) found.set(`${ip} ${port}`, { ip, port });
  }
  return [...found.values()];
}

/** The most allocations that there is room for: each takes a port. */
export function capacityOf(
  { ports, quotas }: Pick<RelayConfig, "ports" | "quotas">,
  relays: readonly RelayAddress[],
): number {
  const places = relays.length * (ports.max - ports.min + 1);
  return Math.min(places, quotas.total ?? places);
}
