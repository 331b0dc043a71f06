import { canonicalIp, formatIp, parseIp } from "@culvert/stun";
import { type Cidr, cidrContains } from "./cidr.ts";
import type { ResolvedConfig } from "./config.ts";
import { embeddedIpv4 } from "./embedded-ipv4.ts";
import type { PeerAddress, PortRange } from "./io.ts";
import type { PeerPolicy } from "./peer-policy.ts";

export type PeerDecision =
  | {
      readonly allowed: true;
      /** Only these ports. */
      readonly ports?: PortRange;
      /** Where packets go to and come from, where that is not the peer's address itself. */
      readonly wireIp?: string;
    }
  | { readonly allowed: false; readonly rule: string };

/** The peer policy together with what this server knows about its own addresses. */
export class PeerGuard {
  #policy: PeerPolicy;
  /** By the address that peers know. */
  readonly #relays: ReadonlyMap<string, { readonly local: string; readonly ports: PortRange }>;
  readonly #localToExternal: ReadonlyMap<string, string>;
  readonly #listenerIps: ReadonlySet<string>;
  readonly #listeners: ResolvedConfig["listeners"];

  constructor(config: ResolvedConfig) {
    this.#policy = config.policy;
    this.#listeners = config.listeners;
    this.#listenerIps = new Set(config.listeners.map(({ address }) => canonical(address.ip)));
    const relays = new Map<string, { local: string; ports: PortRange }>();
    const localToExternal = new Map<string, string>();
    for (const { ip, external = ip, ports = config.ports } of config.relays) {
      const known = canonical(external);
      const local = canonical(ip);
      const other = relays.get(known)?.ports ?? ports;
      relays.set(known, {
        local,
        ports: { min: Math.min(other.min, ports.min), max: Math.max(other.max, ports.max) },
      });
      if (known !== local) localToExternal.set(local, known);
    }
    this.#relays = relays;
    this.#localToExternal = localToExternal;
  }

  setPolicy(policy: PeerPolicy): void {
    this.#policy = policy;
  }

  /** Whether the address may be a peer. `only` is what the credential allows; absent: anything. */
  judge(ip: string, only?: readonly Cidr[]): PeerDecision {
    const bytes = parseIp(ip);
    if (bytes === undefined) return { allowed: false, rule: "not an address" };
    if (only !== undefined && !only.some((cidr) => cidrContains(cidr, bytes))) {
      return { allowed: false, rule: "credential" };
    }
    const verdict = this.#policy.judge(bytes);
    const explicit = verdict.allowed && verdict.explicit;
    const relay = this.#relays.get(ip);
    if (relay !== undefined) {
      return {
        allowed: true,
        ...(explicit ? {} : { ports: relay.ports }),
        ...(relay.local === ip ? {} : { wireIp: relay.local }),
      };
    }
    // Two names for one wire address would make it undecidable which of them a packet is from.
    if (this.#localToExternal.has(ip)) return { allowed: false, rule: "own address" };
    if (!verdict.allowed) return verdict;
    if (explicit) return { allowed: true };
    if (this.#listenerIps.has(ip)) return { allowed: false, rule: "own listener" };
    if (embeddedIpv4(bytes).some((inner) => this.#isOwn(formatIp(inner))))
      return { allowed: false, rule: "own address" };
    return { allowed: true, ...(verdict.ports === undefined ? {} : { ports: verdict.ports }) };
  }

  /** Whether a port of an allowed peer may be reached: in its range, and none of the own listeners. */
  allowsPort(peer: PeerAddress, ports: PortRange | undefined): boolean {
    if (peer.port === 0) return false;
    if (ports !== undefined && (peer.port < ports.min || peer.port > ports.max)) return false;
    return !this.#isListener(peer);
  }

  /** The address that the client knows a peer by, from the one that its packets come from. */
  knownIp(wireIp: string): string {
    return this.#localToExternal.get(wireIp) ?? wireIp;
  }

  #isOwn(ip: string): boolean {
    return this.#relays.has(ip) || this.#localToExternal.has(ip) || this.#listenerIps.has(ip);
  }

  #isListener(peer: PeerAddress): boolean {
    const wireIp = this.#relays.get(peer.ip)?.local;
    return this.#listeners.some(({ address }) => {
      if (address.port !== peer.port) return false;
      const everywhere = address.ip === "0.0.0.0" || address.ip === "::";
      return everywhere ? this.#isOwn(peer.ip) : address.ip === peer.ip || address.ip === wireIp;
    });
  }
}

function canonical(ip: string): string {
  return canonicalIp(ip) ?? ip;
}
