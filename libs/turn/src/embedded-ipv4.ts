/**
 * The IPv4 addresses inside an IPv6 address, by the formats that some host or gateway on the way would turn back into
 * IPv4: mapped (`::ffff:x`), compatible (`::x`), translated (`::ffff:0:x`), 6to4 (`2002:x::`), NAT64 (`64:ff9b::x`) and
 * Teredo (server, and client in complement). Empty for IPv4 and for other IPv6 addresses.
 */
export function embeddedIpv4(ip: Uint8Array): readonly Uint8Array[] {
  if (ip.length !== 16) return [];
  return FORMATS.filter(({ prefix }) => prefix.every((byte, index) => ip[index] === byte)).flatMap(({ extract }) =>
    extract(ip),
  );
}

interface Format {
  readonly prefix: readonly number[];
  readonly extract: (ip: Uint8Array) => readonly Uint8Array[];
}

const last4 = (ip: Uint8Array): readonly Uint8Array[] => [ip.slice(12)];

/** `::` and `::1` are the unspecified and the loopback address, not IPv4 ones (RFC 4291 section 2.5). */
const compatible = (ip: Uint8Array): readonly Uint8Array[] =>
  ip[12] === 0 && ip[13] === 0 && ip[14] === 0 && (ip[15] ?? 0) <= 1 ? [] : last4(ip);

const FORMATS: readonly Format[] = [
  { prefix: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff], extract: last4 },
  { prefix: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], extract: compatible },
  { prefix: [0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0], extract: last4 },
  { prefix: [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0], extract: last4 },
  { prefix: [0x20, 0x02], extract: (ip) => [ip.slice(2, 6)] },
  {
    prefix: [0x20, 0x01, 0, 0],
    extract: (ip) => [ip.slice(4, 8), ip.slice(12).map((byte) => byte ^ 0xff)],
  },
];
