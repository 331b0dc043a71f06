import { type AddressFamily, formatIp, parseIp } from "@culvert/stun";

/** A range of IP addresses: `prefix` leading bits of `bytes`. */
export interface Cidr {
  readonly family: AddressFamily;
  /** 4 or 16 bytes; zero beyond the prefix. */
  readonly bytes: Uint8Array;
  /** 0 to 32, or 0 to 128. */
  readonly prefix: number;
  /** Canonical: `10.0.0.0/8`. */
  readonly text: string;
}

export type CidrResult =
  | { readonly ok: true; readonly cidr: Cidr }
  /** One line that names the value and what would be right. */
  | { readonly ok: false; readonly error: string };

const PREFIX = /^(?:0|[1-9][0-9]{0,2})$/;

/** Parses `10.0.0.0/8`, `2001:db8::/32`, or a single address. Bits beyond the prefix are cleared. */
export function parseCidr(text: string): CidrResult {
  const [ipText = "", prefixText, ...rest] = text.split("/");
  const bytes = parseIp(ipText);
  if (bytes === undefined || rest.length > 0) {
    return { ok: false, error: `${text}: must be an IP address or a range such as 10.0.0.0/8` };
  }
  const bits = bytes.length * 8;
  const prefix = prefixText === undefined ? bits : PREFIX.test(prefixText) ? Number(prefixText) : -1;
  if (prefix < 0 || prefix > bits) return { ok: false, error: `${text}: prefix length must be 0 to ${bits}` };
  const masked = bytes.map((byte, index) => byte & maskOf(prefix, index));
  return {
    ok: true,
    cidr: { family: bits === 32 ? 4 : 6, bytes: masked, prefix, text: `${formatIp(masked)}/${prefix}` },
  };
}

/** Whether the range holds the address. An address of the other family is in no range. */
export function cidrContains(cidr: Cidr, ip: Uint8Array): boolean {
  if (ip.length !== cidr.bytes.length) return false;
  for (let index = 0; index * 8 < cidr.prefix; index++) {
    if (((ip[index] ?? 0) & maskOf(cidr.prefix, index)) !== cidr.bytes[index]) return false;
  }
  return true;
}

/** Whether `outer` holds all of `inner`. */
export function cidrCovers(outer: Cidr, inner: Cidr): boolean {
  return outer.prefix <= inner.prefix && cidrContains(outer, inner.bytes);
}

function maskOf(prefix: number, index: number): number {
  const bits = Math.min(8, Math.max(0, prefix - index * 8));
  return (0xff << (8 - bits)) & 0xff;
}
