import { createHmac } from "node:crypto";
import { CredentialError, KeyRing, mintRest, type SigningKey, userOf } from "@culvert/credentials";
import { describe, expect, it } from "vitest";
import { crypto, utf8 } from "./crypto.ts";

const NOW = 1_700_000_000;
const key = (kid: string, secret: string, extra: Partial<SigningKey> = {}): SigningKey => ({
  tenant: "default",
  kid,
  secret: utf8(secret),
  state: "active",
  ...extra,
});
const ringOf = (...keys: SigningKey[]): KeyRing => {
  const ring = new KeyRing({ crypto });
  ring.replace({ keys, revocations: [] });
  return ring;
};
/** What coturn's documentation tells applications to do. */
const coturnPassword = (secret: string, username: string): string =>
  createHmac("sha1", secret).update(username).digest("base64");

describe("coturn's REST scheme", () => {
  it("mints `<unix-expiry>:<userid>` and base64(HMAC-SHA1(secret, username))", () => {
    const credential = mintRest({ secret: utf8("north"), userId: "alice", expiresAt: NOW + 60 }, crypto);
    expect(credential).toEqual({
      username: `${NOW + 60}:alice`,
      password: coturnPassword("north", `${NOW + 60}:alice`),
    });
  });

  it("mints a bare expiry for an empty user id", () => {
    expect(mintRest({ secret: utf8("north"), userId: "", expiresAt: NOW }, crypto).username).toBe(String(NOW));
  });

  it.each([
    ["expiry first", `${NOW + 60}:alice`, "alice"],
    ["expiry last", `alice:${NOW + 60}`, "alice"],
    ["expiry only", `${NOW + 60}`, ""],
    ["expiry and an empty user", `${NOW + 60}:`, ""],
    ["a user id with colons", `${NOW + 60}:room:7:alice`, "room:7:alice"],
    ["a user id with colons in front", `room:7:alice:${NOW + 60}`, "room:7:alice"],
    ["a user id of three parts like a minted one", `${NOW + 60}:room:alice`, "room:alice"],
    ["a user id beyond ASCII", `${NOW + 60}:zoë`, "zoë"],
  ])("accepts %s", (_, username, user) => {
    const resolution = ringOf(key("a", "north")).resolve(username, NOW);
    expect(resolution).toEqual({
      ok: true,
      scheme: "rest",
      claims: { tenant: "default", user },
      expiresAt: NOW + 60,
      candidates: [{ kid: "a", password: coturnPassword("north", username) }],
    });
    expect(userOf(username)).toBe(user);
  });

  it("tries every active and retiring secret of the default tenant, the newest first", () => {
    const ring = ringOf(
      key("old", "north", { state: "retiring", notAfter: NOW + 10 }),
      key("new", "south"),
      key("foreign", "west", { tenant: "acme" }),
    );
    const username = `${NOW + 60}:alice`;
    expect(ring.resolve(username, NOW)).toMatchObject({
      candidates: [
        { kid: "new", password: coturnPassword("south", username) },
        { kid: "old", password: coturnPassword("north", username) },
      ],
    });
    expect(ring.resolve(username, NOW + 10)).toMatchObject({ candidates: [{ kid: "new" }] });
  });

  it("refuses from the second of the expiry on", () => {
    const ring = ringOf(key("a", "north"));
    expect(ring.resolve(`${NOW}:alice`, NOW - 1).ok).toBe(true);
    expect(ring.resolve(`${NOW}:alice`, NOW)).toEqual({ ok: false, reason: "expired" });
  });

  it("refuses when the default tenant has no secret, or none that is still valid", () => {
    expect(ringOf(key("a", "x", { tenant: "acme" })).resolve(`${NOW + 1}:alice`, NOW)).toEqual({
      ok: false,
      reason: "unknown-key",
    });
    expect(ringOf(key("a", "x", { notAfter: NOW })).resolve(`${NOW + 1}:alice`, NOW)).toEqual({
      ok: false,
      reason: "key-expired",
    });
  });

  it.each([
    ["no expiry at all", "alice"],
    ["an expiry that is no number", "soon:alice"],
    ["an expiry beyond all reason", "9999999999999:alice"],
    ["an empty username", ""],
    ["a NUL", `${NOW + 60}:ali\0ce`],
    ["a line break", `${NOW + 60}:alice\r\nSET x y`],
    ["a lone surrogate", `${NOW + 60}:\ud800`],
    ["509 bytes", `${NOW + 60}:${"a".repeat(498)}`],
    ["509 bytes in fewer characters", `${NOW + 60}:${"é".repeat(249)}`],
  ])("refuses %s as malformed", (_, username) => {
    expect(ringOf(key("a", "north")).resolve(username, NOW)).toEqual({ ok: false, reason: "malformed" });
  });

  it("takes 508 bytes, and refuses to mint one more", () => {
    const longest = "a".repeat(497);
    const { username } = mintRest({ secret: utf8("north"), userId: longest, expiresAt: NOW + 60 }, crypto);
    expect(ringOf(key("a", "north")).resolve(username, NOW)).toMatchObject({ ok: true, claims: { user: longest } });
    expect(() => mintRest({ secret: utf8("north"), userId: `${longest}a`, expiresAt: NOW + 60 }, crypto)).toThrow(
      new CredentialError(
        "username-too-long",
        "the username would take 509 bytes; 508 is the most that TURN allows: use a shorter username",
      ),
    );
  });

  it("refuses to mint for a user id with control characters", () => {
    expect(() => mintRest({ secret: utf8("north"), userId: "a\nb", expiresAt: NOW }, crypto)).toThrow(CredentialError);
  });
});
