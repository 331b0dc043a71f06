import { automaticAddress, ConfigError, type HostAddress } from "@culvert/config";
import { type AddressFamily, canonicalIp, familyOf, type TransportAddress } from "@culvert/stun";
import type { ListenerConfig, StunConfig } from "./config.ts";

/** A listener to be opened, with its place in behaviour discovery. */
export interface PlannedListener {
  readonly id: number;
  readonly transport: ListenerConfig["transport"];
  readonly local: TransportAddress;
  /** The IP address that clients know, where it is another one than the bound one. */
  readonly external?: string;
  readonly alternateIp: boolean;
  readonly alternatePort: boolean;
  /** Takes the port that the listener with this id was given: with port 0 it is not known before. */
  readonly samePortAs?: number;
}

/**
 * The configured listeners, and behind them those that behaviour discovery adds: for the first UDP listener of each
 * family its IP address and the alternate one, times its port and the alternate one (RFC 5780 section 6).
 */
export function planListeners(config: StunConfig, host: readonly HostAddress[]): readonly PlannedListener[] {
  const planned: PlannedListener[] = [];
  const add = (listener: Omit<PlannedListener, "id">): number => {
    planned.push({ id: planned.length, ...listener });
    return planned.length - 1;
  };
  for (const [index, listener] of config.listeners.entries()) {
    const { transport, port } = listener;
    const local = { ip: resolveIp(listener.ip, index, host), port };
    add({ transport, local, ...known(listener.external), alternateIp: false, alternatePort: false });
  }
  const { alternate } = config;
  if (alternate === undefined) return planned;
  const firsts = new Map<AddressFamily, PlannedListener>();
  for (const listener of planned) {
    const family = familyOf(listener.local.ip);
    if (listener.transport === "udp" && !firsts.has(family)) firsts.set(family, listener);
  }
  for (const [family, primary] of firsts) {
    const udp = { transport: "udp" } as const;
    const { ip, port } = primary.local;
    const onPort = add({
      ...udp,
      local: { ip, port: alternate.port },
      ...known(primary.external),
      alternateIp: false,
      alternatePort: true,
    });
    const second = alternate.ips.find((candidate) => familyOf(candidate.ip) === family);
    if (second === undefined) continue;
    const address = { ...udp, ...known(second.external), alternateIp: true };
    const secondIp = canonical(second.ip);
    add({ ...address, local: { ip: secondIp, port }, alternatePort: false, samePortAs: primary.id });
    add({ ...address, local: { ip: secondIp, port: alternate.port }, alternatePort: true, samePortAs: onPort });
  }
  return planned;
}

function resolveIp(ip: string, index: number, host: readonly HostAddress[]): string {
  if (ip !== "auto") return canonical(ip);
  const found = automaticAddress(host);
  if (found !== undefined) return canonical(found);
  throw new ConfigError(
    `stun.listeners[${index}].ip: auto: must be an address, since this host has none but loopback (CULVERT_STUN_LISTENERS)`,
  );
}

function canonical(ip: string): string {
  return canonicalIp(ip) ?? ip;
}

function known(external: string | undefined): { readonly external?: string } {
  return external === undefined ? {} : { external: canonical(external) };
}
