/** An IP address and a port. `ip` is canonical text: dotted decimal, or RFC 5952 for IPv6. */
export interface TransportAddress {
  readonly ip: string;
  /** 0 to 65535. */
  readonly port: number;
}

export type AddressFamily = 4 | 6;

/** The family of an address that is known to be valid text: whatever has a colon is IPv6. */
export function familyOf(ip: string): AddressFamily {
  return ip.includes(":") ? 6 : 4;
}

const DOT = 0x2e;
const ZERO = 0x30;

/**
 * Writes the four bytes of strict dotted decimal text (no leading zeros, no short forms) at `at`. False, with `out`
 * partly written, when the text from `from` on is anything else.
 */
export function writeIpv4(text: string, out: Uint8Array, at: number, from = 0): boolean {
  const end = text.length;
  if (end - from < 7 || end - from > 15) return false;
  let octet = 0;
  let digits = 0;
  let written = 0;
  for (let i = from; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT) {
      if (digits === 0 || written === 3) return false;
      out[at + written++] = octet;
      octet = 0;
      digits = 0;
      continue;
    }
    const digit = code - ZERO;
    if (digit < 0 || digit > 9 || (digits > 0 && octet === 0)) return false;
    octet = octet * 10 + digit;
    digits++;
    if (octet > 255) return false;
  }
  if (digits === 0 || written !== 3) return false;
  out[at + 3] = octet;
  return true;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/** Writes the sixteen bytes of RFC 4291 text (no zone id) at `at`. False, with `out` partly written, for other text. */
export function writeIpv6(text: string, out: Uint8Array, at: number): boolean {
  const end = text.length;
  if (end < 2 || end > 45) return false;
  let written = 0;
  let gap = -1;
  let i = 0;
  if (text.startsWith("::")) {
    gap = 0;
    i = 2;
  }
  while (i < end) {
    if (written === 16) return false;
    let group = 0;
    let digits = 0;
    const start = i;
    for (; i < end; i++) {
      const digit = hexDigit(text.charCodeAt(i));
      if (digit < 0) break;
      if (++digits > 4) return false;
      group = (group << 4) | digit;
    }
    if (i < end && text.charCodeAt(i) === DOT) {
      if (written > 12 || !writeIpv4(text, out, at + written, start)) return false;
      written += 4;
      i = end;
      break;
    }
    if (digits === 0) return false;
    out[at + written++] = group >> 8;
    out[at + written++] = group & 0xff;
    if (i === end) break;
    if (text[i] !== ":" || i + 1 === end) return false;
    i++;
    if (text[i] !== ":") continue;
    if (gap >= 0) return false;
    gap = written;
    i++;
  }
  if (gap < 0) return written === 16;
  if (written === 16) return false;
  const tail = written - gap;
  out.copyWithin(at + 16 - tail, at + gap, at + written);
  out.fill(0, at + gap, at + 16 - tail);
  return true;
}

/**
 * The bytes of an IP address in text: 4 for IPv4, 16 for IPv6. Strict: no zone ids, no octal, hexadecimal or short forms
 * of IPv4, no brackets, no white space. `::ffff:192.0.2.1` gives 16 bytes. Undefined for anything else.
 */
export function parseIp(text: string): Uint8Array | undefined {
  if (text.includes(":")) {
    const bytes = new Uint8Array(16);
    return writeIpv6(text, bytes, 0) ? bytes : undefined;
  }
  const bytes = new Uint8Array(4);
  return writeIpv4(text, bytes, 0) ? bytes : undefined;
}

/** Text of the four bytes at `at`. */
export function formatIpv4(bytes: Uint8Array, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

const MAPPED_PREFIX_ZEROS = 10;

function isMapped(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < MAPPED_PREFIX_ZEROS; i++) if (bytes[at + i] !== 0) return false;
  return bytes[at + 10] === 0xff && bytes[at + 11] === 0xff;
}

/** RFC 5952 text of the sixteen bytes at `at`. */
export function formatIpv6(bytes: Uint8Array, at: number): string {
  if (isMapped(bytes, at)) return `::ffff:${formatIpv4(bytes, at + 12)}`;
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((bytes[at + i] ?? 0) << 8) | (bytes[at + i + 1] ?? 0));

  // RFC 5952 section 4.2: the longest run of two zero groups or more, the first of equals.
  let runStart = -1;
  let runLength = 1;
  for (let i = 0; i < 8; ) {
    let length = 0;
    while (i + length < 8 && groups[i + length] === 0) length++;
    if (length > runLength) {
      runStart = i;
      runLength = length;
    }
    i += length + 1;
  }
  const hex = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(":");
  return runStart < 0 ? hex(0, 8) : `${hex(0, runStart)}::${hex(runStart + runLength, 8)}`;
}

/**
 * Canonical text of an IP address: dotted decimal for 4 bytes, RFC 5952 for 16 (IPv4-mapped addresses as
 * `::ffff:192.0.2.1`).
 *
 * @throws RangeError when `bytes` has another length.
 */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return formatIpv4(bytes, 0);
  if (bytes.length === 16) return formatIpv6(bytes, 0);
  throw new RangeError(`an IP address has 4 or 16 bytes, not ${bytes.length}`);
}

/** The canonical form of strict IP text (see `parseIp`). Undefined when the text is not an IP address. */
export function canonicalIp(text: string): string | undefined {
  const bytes = parseIp(text);
  return bytes && formatIp(bytes);
}

/** A decimal port, 0 to 65535, without sign or leading zeros. */
export function parsePort(text: string): number | undefined {
  if (!/^(0|[1-9][0-9]{0,4})$/.test(text)) return undefined;
  const port = Number(text);
  return port <= 0xffff ? port : undefined;
}

/** Reads `192.0.2.1:3478` or `[2001:db8::1]:3478`; the IP address becomes canonical. The port is not optional. */
export function parseAddress(text: string): TransportAddress | undefined {
  const colon = text.lastIndexOf(":");
  if (colon < 0) return undefined;
  const host = text.slice(0, colon);
  const bracketed = host.startsWith("[") && host.endsWith("]");
  if (bracketed !== host.includes(":")) return undefined;
  const ip = canonicalIp(bracketed ? host.slice(1, -1) : host);
  const port = parsePort(text.slice(colon + 1));
  return ip === undefined || port === undefined ? undefined : { ip, port };
}

/** `192.0.2.1:3478` or `[2001:db8::1]:3478`. */
export function formatAddress(address: TransportAddress): string {
  return familyOf(address.ip) === 6 ? `[${address.ip}]:${address.port}` : `${address.ip}:${address.port}`;
}

/** Whether two addresses with canonical IP text are the same. */
export function sameAddress(a: TransportAddress, b: TransportAddress): boolean {
  return a.port === b.port && a.ip === b.ip;
}
