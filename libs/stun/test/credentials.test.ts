import { createHash } from "node:crypto";
import { isOpaqueString, longTermKey, opaqueString, shortTermKey, userHash } from "@culvert/stun";
import { describe, expect, it } from "vitest";
import { ascii, crypto, toHex } from "./support.ts";

const credential = { username: "user", realm: "realm", password: "pass" };

describe("the long-term key", () => {
  it("is MD5 of user, realm and password", () => {
    expect(toHex(longTermKey({ ...credential, algorithm: "md5" }, crypto))).toBe("8493fbc53ba582fb4c044c456bdc40eb");
  });

  it("is SHA-256 of the same", () => {
    const expected = createHash("sha256").update("user:realm:pass").digest("hex");
    expect(toHex(longTermKey({ ...credential, algorithm: "sha256" }, crypto))).toBe(expected);
  });

  it("is the same for passwords that look the same", () => {
    const composed = longTermKey({ ...credential, password: "caf\u00e9 bar", algorithm: "md5" }, crypto);
    const decomposed = longTermKey({ ...credential, password: "cafe\u0301\u00a0bar", algorithm: "md5" }, crypto);
    expect(decomposed).toEqual(composed);
  });

  it("takes the username as it was sent", () => {
    const expected = createHash("md5").update("e\u0301:realm:pass").digest("hex");
    expect(toHex(longTermKey({ ...credential, username: "e\u0301", algorithm: "md5" }, crypto))).toBe(expected);
  });
});

it("the short-term key is the password", () => {
  expect(shortTermKey("VOkJxbRl1RmTxUk/WvJxBt")).toEqual(ascii("VOkJxbRl1RmTxUk/WvJxBt"));
});

it("the user hash is SHA-256 of user and realm", () => {
  const expected = createHash("sha256").update("user:realm").digest("hex");
  expect(toHex(userHash("user", "realm", crypto))).toBe(expected);
});

describe("OpaqueString", () => {
  it.each([
    ["ASCII stays as it is", "a B\t", "a B\t"],
    ["other spaces become a space", "a\u00a0b\u3000c\u2003d", "a b c d"],
    ["NFC", "A\u030a", "\u00c5"],
    ["no compatibility mapping", "\u2168\uff21", "\u2168\uff21"],
    ["case is kept", "\u00c4\u00e4", "\u00c4\u00e4"],
  ])("prepares: %s", (_name, text, prepared) => {
    expect(opaqueString(text)).toBe(prepared);
  });

  it.each([
    ["a password", "correct horse battery staple", true],
    ["other scripts", "\u30de\u30c8\u30ea\u30c3\u30af\u30b9", true],
    ["symbols", "\u{1f511}", true],
    ["nothing", "", false],
    ["a line feed", "a\nb", false],
    ["NUL", "a\0", false],
    ["C1 controls", "a\u0085", false],
    ["a soft hyphen", "The\u00adMatrix", false],
    ["a lone surrogate", "\ud800", false],
    ["an unassigned character", "\u0378", false],
  ])("is allowed or not: %s", (_name, text, allowed) => {
    expect(isOpaqueString(text)).toBe(allowed);
  });
});
