import { utf8Decode, utf8DecodeLossy, utf8Encode, utf8Length } from "@culvert/stun";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hex } from "./support.ts";

describe("UTF-8", () => {
  it("is what Node writes, lone surrogates included", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((c) => String.fromCharCode(c)) }),
        (text) => {
          const expected = new TextEncoder().encode(text);
          expect(utf8Encode(text)).toEqual(expected);
          expect(utf8Length(text)).toBe(expected.length);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it("comes back as it was", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(utf8Decode(utf8Encode(text))).toBe(text);
        expect(utf8DecodeLossy(utf8Encode(text))).toBe(text);
      }),
    );
  });

  it("is malformed where Node says so", () => {
    const byte = fc.constantFrom(
      0x41,
      0x80,
      0xbf,
      0xc0,
      0xc2,
      0xe0,
      0xa0,
      0x9f,
      0xed,
      0xf0,
      0x90,
      0x8f,
      0xf4,
      0xf5,
      0xff,
    );
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 8 }), (list) => {
        const bytes = new Uint8Array(list);
        let expected: string | undefined;
        try {
          expected = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
        } catch {}
        expect(utf8Decode(bytes)).toBe(expected);
        if (expected !== undefined) expect(utf8DecodeLossy(bytes)).toBe(expected);
      }),
      { numRuns: 5000 },
    );
  });

  it("has U+FFFD for what is malformed, if asked for", () => {
    expect(utf8DecodeLossy(hex("61ff62c0"))).toBe("a\ufffdb\ufffd");
  });

  it("is decoded between two offsets", () => {
    expect(utf8Decode(hex("ff6162ff"), 1, 3)).toBe("ab");
    expect(utf8Decode(hex("e282ac"), 0, 2)).toBeUndefined();
  });
});
