import { isIP, SocketAddress } from "node:net";
import {
  canonicalIp,
  familyOf,
  formatAddress,
  formatIp,
  parseAddress,
  parseIp,
  parsePort,
  sameAddress,
} from "@culvert/stun";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { address, bytes } from "./arbitraries.ts";
import { hex, toHex } from "./support.ts";

const ipBytes = fc.oneof(
  bytes(4, 4),
  bytes(16, 16),
  // Many zeros, for "::" to stand in all places.
  fc.array(fc.constantFrom(0, 0, 0, 1, 0xff), { minLength: 16, maxLength: 16 }).map((list) => new Uint8Array(list)),
);

describe("IP addresses in text", () => {
  it("come back as they were", () => {
    fc.assert(
      fc.property(ipBytes, (bytes) => {
        const text = formatIp(bytes);
        expect(isIP(text)).toBe(bytes.length === 4 ? 4 : 6);
        expect(familyOf(text)).toBe(isIP(text));
        expect(parseIp(text)).toEqual(bytes);
        expect(canonicalIp(text)).toBe(text);
      }),
      { numRuns: 1000 },
    );
  });

  it("are what Node takes for one, but for zone ids", () => {
    const part = fc.oneof(
      { weight: 5, arbitrary: fc.constantFrom(":", "::", ".", "0", "1", "ffff", "a", "255", "192.0.2.1", "::ffff:") },
      {
        weight: 1,
        arbitrary: fc.constantFrom("256", "01", "00", "g", " ", "12345", "-1", "/", "[", "+1", "0x1", "1e2"),
      },
    );
    const text = fc.oneof(
      fc.array(part, { maxLength: 16 }).map((parts) => parts.join("")),
      fc.array(fc.constantFrom("0", "1", "ffff", ""), { minLength: 2, maxLength: 9 }).map((parts) => parts.join(":")),
      fc.array(fc.nat(300), { minLength: 3, maxLength: 5 }).map((parts) => parts.join(".")),
    );
    fc.assert(
      fc.property(text, (text) => {
        const length = parseIp(text)?.length;
        expect(length === undefined ? 0 : length === 4 ? 4 : 6).toBe(isIP(text));
      }),
      { numRuns: 20_000 },
    );
  });

  it("read as Node reads them", () => {
    fc.assert(
      fc.property(ipBytes, (bytes) => {
        const text = formatIp(bytes);
        const family = bytes.length === 4 ? "ipv4" : "ipv6";
        const { address } = new SocketAddress({ address: text, family });
        // Node writes the addresses of ::/96 with an IPv4 address at their end, which RFC 5952 keeps for known prefixes.
        const ends = bytes.length === 16 && bytes.subarray(0, 12).every((byte) => byte === 0);
        if (!ends) expect(address).toBe(text);
        expect(canonicalIp(address)).toBe(text);
      }),
      { examples: [[hex("00000000 00000000 00000000 ff000000")], [hex("00000000 00000000 0000ffff c0000201")]] },
    );
  });

  it.each([
    "",
    "1.2.3",
    "1.2.3.4.5",
    "01.2.3.4",
    "1.2.3.256",
    "0x1.2.3.4",
    "1.2.3.4 ",
    "2130706433",
    "127.1",
    ":",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7:8::",
    "::12345",
    "::1.2.3",
    "1:2:3:4:5:6:7:1.2.3.4",
    "::1.2.3.4:1",
    "fe80::1%eth0",
    "[::1]",
    "::g",
  ])("is not %j", (text) => {
    expect(parseIp(text)).toBeUndefined();
    expect(canonicalIp(text)).toBeUndefined();
  });

  it.each([
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["2001:0db8::0001", "2001:db8::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["1:0:0:0:0:0:0:0", "1::"],
    ["::ffff:c000:201", "::ffff:192.0.2.1"],
    ["::192.0.2.1", "::c000:201"],
    ["64:ff9b::192.0.2.1", "64:ff9b::c000:201"],
  ])("%s is %s (RFC 5952)", (text, canonical) => {
    expect(canonicalIp(text)).toBe(canonical);
  });

  it("need 4 or 16 bytes", () => {
    expect(() => formatIp(hex("010203"))).toThrow(RangeError);
    expect(toHex(parseIp("1::2.3.4.5") ?? hex(""))).toBe("00010000000000000000000002030405");
  });
});

describe("transport addresses in text", () => {
  it("come back as they were", () => {
    fc.assert(
      fc.property(address, (address) => {
        const read = parseAddress(formatAddress(address));
        expect(read).toEqual(address);
        expect(read && sameAddress(read, address)).toBe(true);
      }),
    );
  });

  it.each([
    ["192.0.2.1:3478", { ip: "192.0.2.1", port: 3478 }],
    ["[2001:DB8::1]:0", { ip: "2001:db8::1", port: 0 }],
    ["192.0.2.1", undefined],
    ["192.0.2.1:", undefined],
    ["192.0.2.1:65536", undefined],
    ["192.0.2.1:+1", undefined],
    ["192.0.2.1:01", undefined],
    ["[192.0.2.1]:1", undefined],
    ["::1:1", undefined],
    ["[::1]", undefined],
    ["[::1:1", undefined],
    ["example.org:1", undefined],
  ])("%s", (text, address) => {
    expect(parseAddress(text)).toEqual(address);
  });

  it("differ in address or port", () => {
    const a = { ip: "192.0.2.1", port: 1 };
    expect(sameAddress(a, { ...a, port: 2 })).toBe(false);
    expect(sameAddress(a, { ...a, ip: "192.0.2.2" })).toBe(false);
  });

  it("have ports of up to 65535", () => {
    expect(["0", "65535", "65536", "-1", "1.5", ""].map(parsePort)).toEqual([
      0,
      65535,
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });
});
