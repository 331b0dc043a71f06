import { hkdfSync } from "node:crypto";
import { deriveSignalingKey } from "@culvert/credentials";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { crypto, utf8 } from "./crypto.ts";

describe("deriveSignalingKey", () => {
  it("is HKDF-SHA256 without salt, 32 bytes, with the purpose as info", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (secret) => {
        for (const [purpose, info] of [
          ["jwt", "culvert signaling jwt"],
          ["resume", "culvert signaling resume"],
        ] as const) {
          const expected = new Uint8Array(hkdfSync("sha256", secret, new Uint8Array(0), info, 32));
          expect(deriveSignalingKey(secret, crypto, purpose)).toEqual(expected);
        }
      }),
    );
  });

  it("makes keys for tokens unless told otherwise", () => {
    expect(deriveSignalingKey(utf8("north"), crypto)).toEqual(deriveSignalingKey(utf8("north"), crypto, "jwt"));
  });
});
