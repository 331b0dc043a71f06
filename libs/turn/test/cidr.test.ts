import { formatIp, parseIp } from "@culvert/stun";
import { cidrContains, parseCidr } from "@culvert/turn";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

const toBigInt = (bytes: Uint8Array): bigint => bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);

/** Contains, by shifting whole numbers. */
function oracle(network: Uint8Array, prefix: number, ip: Uint8Array): boolean {
  if (network.length !== ip.length) return false;
  const shift = BigInt(network.length * 8 - prefix);
  return toBigInt(network) >> shift === toBigInt(ip) >> shift;
}

const ipv4 = fc.uint8Array({ minLength: 4, maxLength: 4 });
const ipv6 = fc.uint8Array({ minLength: 16, maxLength: 16 });
const ip = fc.oneof(ipv4, ipv6);

/** An address, a prefix, and an address that shares some leading bits with the first. */
const cases = ip.chain((network) =>
  fc.record({
    network: fc.constant(network),
    prefix: fc.integer({ min: 0, max: network.length * 8 }),
    ip: fc.oneof(
      ip,
      fc
        .record({ bit: fc.integer({ min: 0, max: network.length * 8 - 1 }), same: fc.boolean() })
        .map(({ bit, same }) => {
          const near = network.slice();
          if (!same) near[bit >> 3] = (near[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
          return near;
        }),
    ),
  }),
);

describe("CIDR ranges", () => {
  it("match as whole numbers do", () => {
    fc.assert(
      fc.property(cases, ({ network, prefix, ip: address }) => {
        const result = parseCidr(`${formatIp(network)}/${prefix}`);
        expect(result.ok && cidrContains(result.cidr, address)).toBe(oracle(network, prefix, address));
      }),
      { numRuns: 3000 },
    );
  });

  it("of :: never match IPv4", () => {
    for (const text of ["::", "::/0", "::/96", "::/128"]) {
      const result = parseCidr(text);
      fc.assert(fc.property(ipv4, (address) => !(result.ok && cidrContains(result.cidr, address))));
    }
  });

  it.each([
    ["10.0.0.0/8", "10.0.0.0/8"],
    ["10.1.2.3/8", "10.0.0.0/8"],
    ["10.1.2.3", "10.1.2.3/32"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["2001:DB8::1/32", "2001:db8::/32"],
    ["::1", "::1/128"],
  ])("%s reads as %s", (text, canonical) => {
    expect(parseCidr(text)).toMatchObject({ ok: true, cidr: { text: canonical } });
  });

  it.each([
    "",
    "/8",
    "10.0.0.0/",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.0/08",
    "10.0.0.0/8/8",
    "10.0.0.0/255.0.0.0",
    "10.0.0/8",
    "010.0.0.0/8",
    "::/129",
    "fe80::1%eth0",
    "localhost",
    " 10.0.0.0/8",
  ])("%j is an error of one line that names it", (text) => {
    const result = parseCidr(text);
    expect(result).toMatchObject({ ok: false });
    expect(result.ok ? "" : result.error).toMatch(
      /^[^\n]*: (must be an IP address or a range|prefix length must be 0 to)/,
    );
    expect(result.ok ? "" : result.error.startsWith(text)).toBe(true);
  });

  it("hold their own address", () => {
    fc.assert(
      fc.property(ip, (bytes) => {
        const result = parseCidr(formatIp(bytes));
        return result.ok && cidrContains(result.cidr, parseIp(formatIp(bytes)) ?? new Uint8Array(0));
      }),
    );
  });
});
