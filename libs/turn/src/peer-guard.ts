import { canonicalIp, formatIp, parseIp } from "@culvert/stun";
import { type Cidr, cidrContains } from "./cidr.ts";
import type { ListenerConfig, ResolvedConfig } from "./config.ts";
import { embeddedIpv4 } from "./embedded-ipv4.ts";
import type { PortRange } from "./io.ts";
import type { PeerPolicy } from "./peer-policy.ts";

/** The ports of a peer that may be reached. Port 0 is none. */
export interface PeerPorts {
  /** Default: all. */
  readonly only?: PortRange;
  /** The own listeners for datagrams. A stream listener's port number is another socket's among datagrams. */
  readonly except: readonly number[];
}

export type PeerDecision =
  | {
      readonly allowed: true;
      readonly ports: PeerPorts;
      /** Where packets go to and come from, where that is not the peer's address itself. */
      readonly wireIp?: string;
    }
  | { readonly allowed: false; readonly rule: string };

/** Relayed ports on an address of this server. */
export interface OwnRelay {
  readonly ip: string;
  readonly external?: string;
  readonly ports: PortRange;
}

/** A relayed address as peers know it. */
interface Reachable {
  readonly local: string;
  readonly ports: PortRange;
}

/** The peer policy together with what this server knows about its own addresses. */
export class PeerGuard {
  #policy: PeerPolicy;
  /** By the address that peers know. */
  #relays: ReadonlyMap<string, Reachable> = new Map();
  /** The addresses that peers know for one of this host, the one that counts now at the end. */
  #localToExternal: ReadonlyMap<string, readonly string[]> = new Map();
  readonly #listenerIps: Set<string>;
  readonly #hostIps: ReadonlySet<string>;
  readonly #datagramListeners: ListenerConfig[];

  constructor(config: ResolvedConfig) {
    this.#policy = config.policy;
    this.#datagramListeners = [];
    this.#listenerIps = new Set();
    for (const listener of config.listeners) this.addListener(listener);
    this.#hostIps = new Set(config.hostAddresses.map(canonical));
    this.setRelays(config.relays.map(({ ports = config.ports, ...relay }) => ({ ...relay, ports })));
  }

  addListener(listener: ListenerConfig): void {
    const { transport, address } = listener;
    if (transport === "udp" || transport === "dtls") this.#datagramListeners.push(listener);
    this.#listenerIps.add(canonical(address.ip));
  }

  setPolicy(policy: PeerPolicy): void {
    this.#policy = policy;
  }

  /**
   * Changes which relayed addresses are here. Of two local addresses behind one the last counts. An address of this host may
   * have several external ones, the one that it has now as the last.
   * @returns whether any verdict may be another than before
   */
  setRelays(own: readonly OwnRelay[]): boolean {
    const relays = new Map<string, Reachable>();
    const localToExternal = new Map<string, readonly string[]>();
    for (const { ip, external = ip, ports } of own) {
      const known = canonical(external);
      const local = canonical(ip);
      const other = relays.get(known)?.ports ?? ports;
      relays.set(known, {
        local,
        ports: { min: Math.min(other.min, ports.min), max: Math.max(other.max, ports.max) },
      });
      const before = localToExternal.get(local) ?? [];
      localToExternal.set(local, [...before.filter((one) => one !== known), known]);
    }
    for (const [local, known] of localToExternal) {
      if (known.length === 1 && known[0] === local) localToExternal.delete(local);
    }
    const changed = !sameRelays(this.#relays, relays);
    this.#relays = relays;
    this.#localToExternal = localToExternal;
    return changed;
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
        ports: this.#ports(ip, explicit ? undefined : relay.ports),
        ...(relay.local === ip ? {} : { wireIp: relay.local }),
      };
    }
    // Two names for one wire address would make it undecidable which of them a packet is from.
    if (this.#localToExternal.has(ip)) return { allowed: false, rule: "own address" };
    if (!verdict.allowed) return verdict;
    if (explicit) return { allowed: true, ports: this.#ports(ip, undefined) };
    if (this.#listenerIps.has(ip)) return { allowed: false, rule: "own listener" };
    if (embeddedIpv4(bytes).some((inner) => this.#isOwn(formatIp(inner)))) {
      return { allowed: false, rule: "own address" };
    }
    return { allowed: true, ports: this.#ports(ip, verdict.ports) };
  }

  /**
   * The addresses that clients may know a peer by, from the one that its packets come from. The one that counts now is the
   * last.
   */
  knownIps(wireIp: string): readonly string[] {
    return this.#localToExternal.get(wireIp) ?? [wireIp];
  }

  #isOwn(ip: string): boolean {
    return this.#relays.has(ip) || this.#localToExternal.has(ip) || this.#listenerIps.has(ip);
  }

  /** Whether what is sent there may end on this host, where listeners on all addresses hear it. */
  #isHere(ip: string): boolean {
    return this.#isOwn(ip) || this.#hostIps.has(ip) || isLoopback(ip);
  }

  #ports(ip: string, only: PortRange | undefined): PeerPorts {
    const wireIp = this.#relays.get(ip)?.local ?? ip;
    const inner = embeddedIpv4(parseIp(ip) ?? new Uint8Array(0)).map(formatIp);
    const names = [ip, wireIp, ...inner];
    const except = this.#datagramListeners
      .filter(({ address }) =>
        isWildcard(address.ip)
          ? names.some((name) => this.#isHere(name))
          : names.includes(address.ip) || (isLoopback(address.ip) && names.some(isWildcard)),
      )
      .map(({ address }) => address.port)
      .filter((port) => only === undefined || isIn(only, port));
    return { except: [...new Set(except)], ...(only === undefined ? {} : { only }) };
  }
}

/** Whether a port of an allowed peer may be reached. */
export function allowsPort(ports: PeerPorts, port: number): boolean {
  return port !== 0 && (ports.only === undefined || isIn(ports.only, port)) && !ports.except.includes(port);
}

export function samePorts(a: PeerPorts, b: PeerPorts): boolean {
  return (
    a.only?.min === b.only?.min &&
    a.only?.max === b.only?.max &&
    a.except.length === b.except.length &&
    a.except.every((port, index) => port === b.except[index])
  );
}

function isIn(range: PortRange, port: number): boolean {
  return port >= range.min && port <= range.max;
}

/** As a destination, the wildcard address is the host itself. */
function isLoopback(ip: string): boolean {
  return ip.startsWith("127.") || ip === "::1" || isWildcard(ip);
}

function isWildcard(ip: string): boolean {
  return ip === "0.0.0.0" || ip === "::";
}

function canonical(ip: string): string {
  return canonicalIp(ip) ?? ip;
}

function sameRelays(some: ReadonlyMap<string, Reachable>, others: ReadonlyMap<string, Reachable>): boolean {
  if (some.size !== others.size) return false;
  for (const [known, { local, ports }] of some) {
    const other = others.get(known);
    if (other === undefined || other.local !== local) return false;
    if (other.ports.min !== ports.min || other.ports.max !== ports.max) return false;
  }
  return true;
}
