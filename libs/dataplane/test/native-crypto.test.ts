import { createHmac } from "node:crypto";
import { nativeCrypto } from "@culvert/dataplane";
import type { StunCrypto } from "@culvert/stun";
import { describe, expect, test } from "vitest";
import { loadBinding } from "../src/native/load.ts";

/** Says that it was asked. */
const other: StunCrypto = {
  md5: () => Uint8Array.of(1),
  sha256: () => Uint8Array.of(2),
  hmacSha1: () => Uint8Array.of(3),
  hmacSha256: () => Uint8Array.of(4),
};

const bytes = (length: number, factor: number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (index * factor + length) & 0xff);

describe.runIf(loadBinding().ok)("HMACs of the addon", () => {
  const crypto = nativeCrypto(other);

  test.each([
    // RFC 2202 section 3, cases 1 and 2; RFC 4231 sections 4.2 and 4.3.
    [
      new Uint8Array(20).fill(0x0b),
      "Hi There",
      "b617318655057264e28bc0b6fb378c8ef146be00",
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    ],
    [
      Buffer.from("Jefe"),
      "what do ya want for nothing?",
      "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ],
  ])("are those of the RFCs", (key, text, sha1, sha256) => {
    const data = Buffer.from(text);
    expect(Buffer.from(crypto.hmacSha1(key, data)).toString("hex")).toBe(sha1);
    expect(Buffer.from(crypto.hmacSha256(key, data)).toString("hex")).toBe(sha256);
  });

  test("are those of node:crypto for keys and data of any length", () => {
    for (const keyLength of [0, 1, 16, 20, 32, 63, 64, 65, 128, 200, 1000]) {
      for (const length of [0, 1, 55, 56, 63, 64, 65, 108, 1200, 65_535, 66_000]) {
        const [key, data] = [bytes(keyLength, 7), bytes(length, 13)];
        const expected = (algorithm: string) => createHmac(algorithm, key).update(data).digest("hex");
        const long = keyLength + length > 1024 + 0x1_0000;
        expect(Buffer.from(crypto.hmacSha1(key, data)).toString("hex")).toBe(long ? "03" : expected("sha1"));
        expect(Buffer.from(crypto.hmacSha256(key, data)).toString("hex")).toBe(long ? "04" : expected("sha256"));
      }
    }
  });

  test("are not changed by the next one, and change nothing of their input", () => {
    const [key, data] = [bytes(16, 3), bytes(100, 5)];
    const [keyBefore, dataBefore] = [key.slice(), data.slice()];
    const first = crypto.hmacSha1(key, data);
    const before = first.slice();
    crypto.hmacSha256(key, data);
    expect([first, key, data]).toEqual([before, keyBefore, dataBefore]);
  });

  test("are all that is the addon's", () => {
    expect([crypto.md5(bytes(1, 1)), crypto.sha256(bytes(1, 1))]).toEqual([Uint8Array.of(1), Uint8Array.of(2)]);
  });
});
