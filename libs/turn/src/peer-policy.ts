import { formatIp, parseIp } from "@culvert/stun";
import { type Cidr, cidrContains, cidrCovers, parseCidr } from "./cidr.ts";
import { embeddedIpv4 } from "./embedded-ipv4.ts";
import type { PortRange } from "./io.ts";

/** Ranges are CIDR text (`10.0.0.0/8`) or single addresses. */
export interface PeerPolicyConfig {
  /**
   * Opens ranges that are denied by default as private. Also lifts the limit to relay ports for addresses of this host.
   * Has no effect on ranges that are never peers.
   */
  readonly allow?: readonly string[];
  /** Opens any range, loopback and link-local too. */
  readonly dangerouslyAllow?: readonly string[];
  /** Denied whatever `allow` and `dangerouslyAllow` say. */
  readonly deny?: readonly string[];
  /** Addresses of the platform's own backends: denied like `deny`. */
  readonly backends?: readonly string[];
  /** Relayed addresses of the other relays of the fleet: always peers, at their relay ports. */
  readonly fleet?: readonly FleetRelay[];
}

export interface FleetRelay {
  readonly range: string;
  /** Default 49152 to 65535. */
  readonly ports?: PortRange;
}

export type PeerVerdict =
  | {
      readonly allowed: true;
      /** `allow` or `dangerouslyAllow` names it. */
      readonly explicit: boolean;
      /** Only these ports. */
      readonly ports?: PortRange;
    }
  /** `rule` names what forbids it, for logs: "never 127.0.0.0/8". */
  | { readonly allowed: false; readonly rule: string };

/** Decides which IP addresses may be peers. Immutable. */
export interface PeerPolicy {
  /** `ip` is 4 or 16 bytes. IPv4 addresses embedded in IPv6 must be allowed too. */
  judge(ip: Uint8Array): PeerVerdict;
}

export type PeerPolicyResult =
  | { readonly ok: true; readonly policy: PeerPolicy }
  /** One line that names key, value and what would be right. */
  | { readonly ok: false; readonly error: string };

/** Ranges that are never peers: only `dangerouslyAllow` opens them. */
export const NEVER_PEERS: readonly string[] = [
  "0.0.0.0/8",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4",
  // The metadata and DNS address inside a large public cloud: publicly routed by its number, private by its meaning.
  "168.63.129.16/32",
  "::/128",
  "::1/128",
  "::/96",
  "::ffff:0:0/96",
  "::ffff:0:0:0/96",
  "64:ff9b:1::/48",
  "100::/64",
  "2001::/23",
  "2001:db8::/32",
  "2002::/16",
  "3fff::/20",
  "5f00::/16",
  "fe80::/10",
  "fec0::/10",
  "ff00::/8",
];

/** Ranges that are no peers unless `allow` opens them. */
export const PRIVATE_PEERS: readonly string[] = [
  "10.0.0.0/8",
  "100.64.0.0/10",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "fc00::/7",
];

const DEFAULT_RELAY_PORTS: PortRange = { min: 49152, max: 65535 };

/** Parses a policy. */
export function parsePeerPolicy(config: PeerPolicyConfig = {}): PeerPolicyResult {
  const errors: string[] = [];
  const parse = (key: string, texts: readonly string[] = []): readonly Cidr[] =>
    texts.flatMap((text, index) => {
      const result = parseCidr(text);
      if (result.ok) return [result.cidr];
      errors.push(`${key}[${index}]: ${result.error}`);
      return [];
    });

  const allow = parse("allow", config.allow);
  const useless = allow.findIndex((cidr) => NEVER.some((never) => cidrCovers(never, cidr)));
  if (useless >= 0) {
    errors.push(`allow[${useless}]: ${allow[useless]?.text}: is never a peer; dangerouslyAllow would open it`);
  }
  const lists: Lists = {
    fleet: (config.fleet ?? []).flatMap(({ range, ports = DEFAULT_RELAY_PORTS }, index) =>
      parse(`fleet[${index}].range`, [range]).map((cidr) => ({ cidr, ports })),
    ),
    deny: parse("deny", config.deny),
    backends: parse("backends", config.backends),
    dangerouslyAllow: parse("dangerouslyAllow", config.dangerouslyAllow),
    allow,
  };
  const [error] = errors;
  if (error !== undefined) return { ok: false, error };
  return { ok: true, policy: { judge: (ip) => judge(lists, ip) } };
}

interface Lists {
  readonly fleet: readonly { readonly cidr: Cidr; readonly ports: PortRange }[];
  readonly deny: readonly Cidr[];
  readonly backends: readonly Cidr[];
  readonly dangerouslyAllow: readonly Cidr[];
  readonly allow: readonly Cidr[];
}

const NEVER: readonly Cidr[] = builtIn(NEVER_PEERS);
const PRIVATE: readonly Cidr[] = builtIn(PRIVATE_PEERS);

function builtIn(texts: readonly string[]): readonly Cidr[] {
  return texts.flatMap((text) => {
    const result = parseCidr(text);
    return result.ok ? [result.cidr] : [];
  });
}

function judge(lists: Lists, ip: Uint8Array): PeerVerdict {
  const verdict = judgeOne(lists, ip);
  if (!verdict.allowed) return verdict;
  for (const inner of embeddedIpv4(ip)) {
    // A relay of the fleet has a name of its own; through a gateway its port limit would not hold.
    if (lists.fleet.some(({ cidr }) => cidrContains(cidr, inner))) {
      return { allowed: false, rule: `embedded fleet address ${formatIp(inner)}` };
    }
    const innerVerdict = judgeOne(lists, inner);
    if (!innerVerdict.allowed) return innerVerdict;
  }
  return verdict;
}

function judgeOne(lists: Lists, ip: Uint8Array): PeerVerdict {
  const fleet = lists.fleet.find(({ cidr }) => cidrContains(cidr, ip));
  if (fleet !== undefined) return { allowed: true, explicit: false, ports: fleet.ports };
  for (const { list, verdict } of RULES) {
    const match = list(lists).find((cidr) => cidrContains(cidr, ip));
    if (match === undefined) continue;
    return verdict === "allow"
      ? { allowed: true, explicit: true }
      : { allowed: false, rule: `${verdict} ${match.text}` };
  }
  return { allowed: true, explicit: false };
}

/** The first list that holds the address decides. */
const RULES: readonly { readonly list: (lists: Lists) => readonly Cidr[]; readonly verdict: string }[] = [
  { list: (lists) => lists.deny, verdict: "deny" },
  { list: (lists) => lists.backends, verdict: "backend" },
  { list: (lists) => lists.dangerouslyAllow, verdict: "allow" },
  { list: () => NEVER, verdict: "never" },
  { list: (lists) => lists.allow, verdict: "allow" },
  { list: () => PRIVATE, verdict: "private" },
];

/** Whether an IP address is in one of the ranges; ranges that do not parse hold nothing. */
export function inAnyRange(ranges: readonly string[], ip: string): boolean {
  const bytes = parseIp(ip);
  if (bytes === undefined) return false;
  return ranges.some((range) => {
    const result = parseCidr(range);
    return result.ok && cidrContains(result.cidr, bytes);
  });
}
