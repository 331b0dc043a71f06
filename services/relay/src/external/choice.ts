import { inAnyRange, NEVER_PEERS, PRIVATE_PEERS } from "@culvert/turn";
import type { RelayAddress } from "../config.ts";
import type { ExternalAddressConfig } from "./config.ts";
import { type ByFamily, type Family, familyOf } from "./source.ts";

/** What is known of a source. */
export interface Heard {
  readonly name: string;
  readonly lacks: string;
  /** What it said last, though it may not answer any more. Undefined: it never did. */
  readonly found?: ByFamily;
  /** Why it does not answer now. */
  readonly problem?: string;
  readonly pending: boolean;
}

/** The external address of one relayed address, or why it has none that will do. */
export type Choice =
  | {
      readonly ok: true;
      readonly relay: RelayAddress;
      readonly from: string;
      /** No other choice is to be expected by and by. */
      readonly sure: boolean;
    }
  /** `line` is for an operator whose relay does not start, and says what would be right. */
  | { readonly ok: false; readonly problem: string; readonly line: string };

const VARIABLE: Readonly<Record<Family, string>> = {
  ipv4: "CULVERT_RELAY_EXTERNAL_ADDRESS_IPV4",
  ipv6: "CULVERT_RELAY_EXTERNAL_ADDRESS_IPV6",
};

/** Whether the whole Internet can know a host by this address. */
export function isPublic(ip: string): boolean {
  return !inAnyRange([...NEVER_PEERS, ...PRIVATE_PEERS], ip);
}

/** Whether a relayed address needs nobody to say what it is outside. */
export function isTold({ ip, external }: RelayAddress, config: ExternalAddressConfig): boolean {
  return external !== undefined || config[familyOf(ip)] !== undefined;
}

/**
 * Chooses for one relayed address.
 *
 * @param heard the sources, the one that counts most first
 */
export function choose(relay: RelayAddress, config: ExternalAddressConfig, heard: readonly Heard[]): Choice {
  const { ip, external } = relay;
  const family = familyOf(ip);
  const told = external ?? config[family];
  if (told !== undefined) return checked(relay, told, "the configuration", config, true);
  for (const [index, { name, found }] of heard.entries()) {
    const address = found?.[family];
    const above = heard.slice(0, index).every((one) => one.found !== undefined || one.problem !== undefined);
    if (address !== undefined) return checked(relay, address, name, config, above);
  }
  const sure = heard.every((one) => one.found !== undefined || (one.problem !== undefined && !one.pending));
  if (isPublic(ip) || config.allowPrivate) return { ok: true, relay: { ip }, from: "this host", sure };
  const reasons = heard.map(({ name, lacks, problem }) => `${name} ${problem ?? lacks}`);
  const why = reasons.length === 0 ? "nothing is asked for one" : reasons.join("; ");
  const line = `relay.externalAddress: none for ${ip}: must be found, or set by relay.externalAddress.${family}, or relay.externalAddress.allowPrivate be true: ${why} (${VARIABLE[family]})`;
  return { ok: false, problem: `there is none: ${why}`, line };
}

function checked(
  { ip }: RelayAddress,
  external: string,
  from: string,
  { allowPrivate }: ExternalAddressConfig,
  sure: boolean,
): Choice {
  if (isPublic(external) || allowPrivate) {
    return { ok: true, relay: external === ip ? { ip } : { ip, external }, from, sure };
  }
  const line = `relay.externalAddress: ${external}: must be a public address, and ${from} says this one; relay.externalAddress.allowPrivate allows it (CULVERT_RELAY_EXTERNAL_ADDRESS_ALLOW_PRIVATE)`;
  return { ok: false, problem: `${from} says ${external}, which is not public`, line };
}
