import { encodeSealedToken, encodeTokenBlock, parseSealedToken, parseTokenBlock } from "@culvert/stun";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bytes } from "./arbitraries.ts";
import { hex, toHex } from "./support.ts";

const block = {
  macKey: hex("a1a2a3"),
  timestamp: { seconds: 0x0102_0304_0506, fraction: 0x0708 },
  lifetime: 3600,
};

describe("access tokens (RFC 7635 section 6.2)", () => {
  it("have a nonce and an encrypted block", () => {
    expect(toHex(encodeSealedToken({ nonce: hex("0102"), encrypted: hex("ff") }))).toBe("00020102ff");
  });

  it("have a key, a time stamp and a lifetime inside", () => {
    expect(toHex(encodeTokenBlock(block))).toBe("0003a1a2a3010203040506070800000e10");
    expect(parseTokenBlock(encodeTokenBlock(block))).toEqual(block);
  });

  it("come back as they were", () => {
    fc.assert(
      fc.property(bytes(0, 40), bytes(0, 80), (nonce, encrypted) => {
        expect(parseSealedToken(encodeSealedToken({ nonce, encrypted }))).toEqual({ nonce, encrypted });
      }),
    );
  });

  it.each(["", "00", "0001", "0003a1a2"])("are not %j", (value) => {
    expect(parseSealedToken(hex(value))).toBeUndefined();
    expect(parseTokenBlock(hex(value))).toBeUndefined();
  });

  it("have exactly their length inside", () => {
    expect(parseTokenBlock(hex(`${toHex(encodeTokenBlock(block))}00`))).toBeUndefined();
  });

  it.each([
    ["a lifetime above 32 bits", { ...block, lifetime: 2 ** 32 }],
    ["a time above 48 bits", { ...block, timestamp: { seconds: 2 ** 48, fraction: 0 } }],
    ["a negative fraction", { ...block, timestamp: { seconds: 0, fraction: -1 } }],
  ])("cannot have %s", (_name, block) => {
    expect(() => encodeTokenBlock(block)).toThrow(RangeError);
  });

  it("cannot have a nonce of 65536 bytes", () => {
    expect(() => encodeSealedToken({ nonce: new Uint8Array(65536), encrypted: hex("") })).toThrow(RangeError);
  });
});
