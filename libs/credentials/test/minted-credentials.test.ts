import { createHmac } from "node:crypto";
import {
  type CredentialClaims,
  CredentialError,
  checkClaims,
  KeyRing,
  mintCredential,
  type SigningKey,
  userOf,
} from "@culvert/credentials";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { crypto, utf8 } from "./crypto.ts";

const NOW = 1_700_000_000;
const EXPIRES = NOW + 600;
const key: SigningKey = { tenant: "acme", kid: "k1", secret: utf8("north"), state: "active" };
const claims: CredentialClaims = {
  tenant: "acme",
  user: "alice",
  issuedAt: NOW,
  clientIp: "203.0.113.7",
  peerCidrs: ["198.51.100.0/24", "2001:db8::/32"],
  maxBps: 250_000,
  maxAllocations: 3,
};
const ring = new KeyRing({ crypto });
ring.replace({ keys: [key], revocations: [] });

const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

describe("API-minted credentials", () => {
  it("are `<unix-expiry>:<kid>:<base64url claims>` with base64(HMAC-SHA256(secret, username))", () => {
    const { username, password } = mintCredential({ key, claims, expiresAt: EXPIRES }, crypto);
    expect(username).toBe(
      `${EXPIRES}:k1:${base64url({ t: "acme", u: "alice", i: NOW, c: "203.0.113.7", p: ["198.51.100.0/24", "2001:db8::/32"], b: 250_000, a: 3 })}`,
    );
    expect(password).toBe(createHmac("sha256", "north").update(username).digest("base64"));
    expect(ring.resolve(username, NOW)).toEqual({
      ok: true,
      scheme: "minted",
      claims,
      expiresAt: EXPIRES,
      candidates: [{ kid: "k1", password }],
    });
  });

  it("stand for the same user whatever their expiry", () => {
    const users = [1, 2].map((expiresAt) => userOf(mintCredential({ key, claims, expiresAt }, crypto).username));
    expect(users).toEqual(["alice", "alice"]);
  });

  it("come back as they were minted, for all claims", () => {
    const cidr = fc.tuple(fc.ipV4(), fc.constant(32)).map(([ip, length]) => `${ip}/${length}`);
    const arbitrary = fc.record(
      {
        tenant: fc.constant("acme"),
        user: fc.string({ unit: "binary", minLength: 1, maxLength: 20 }),
        issuedAt: fc.nat(),
        clientIp: fc.ipV4(),
        peerCidrs: fc.array(cidr, { minLength: 1, maxLength: 3 }),
        maxBps: fc.integer({ min: 1 }),
        maxAllocations: fc.integer({ min: 1 }),
      },
      { requiredKeys: ["tenant", "user"] },
    );
    fc.assert(
      fc.property(arbitrary, (given) => {
        if (!checkClaims(given).ok) return;
        const { username, password } = mintCredential({ key, claims: given, expiresAt: EXPIRES }, crypto);
        expect(ring.resolve(username, NOW)).toMatchObject({ ok: true, claims: given, candidates: [{ password }] });
      }),
    );
  });

  it("never make the ring throw, whatever the username", () => {
    const part = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom("k1", String(EXPIRES), base64url({ t: "acme" })),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 4 }), (parts) => {
        ring.resolve(parts.join(":"), NOW);
      }),
    );
  });

  it("bring addresses to their canonical form", () => {
    const odd = { ...claims, clientIp: "2001:DB8:0::1", peerCidrs: ["2001:0db8::/32", "203.0.113.9"] };
    const { username } = mintCredential({ key, claims: odd, expiresAt: EXPIRES }, crypto);
    expect(ring.resolve(username, NOW)).toMatchObject({
      claims: { clientIp: "2001:db8::1", peerCidrs: ["2001:db8::/32", "203.0.113.9/32"] },
    });
  });

  it.each([
    ["an empty user", { user: "" }, "user: must be 1 to 128 bytes of UTF-8 without control characters"],
    ["a user beyond 128 bytes", { user: "é".repeat(65) }, /^user: /],
    ["a user with CR LF", { user: "a\r\nb" }, /^user: /],
    ["a client IP that is none", { clientIp: "203.0.113.256" }, "clientIp: must be an IPv4 or IPv6 address"],
    ["no prefixes", { peerCidrs: [] }, "peerCidrs: must be a list of 1 to 16 prefixes"],
    [
      "a prefix that is none",
      { peerCidrs: ["10.0.0.0/x"] },
      'peerCidrs: "10.0.0.0/x": must be an address and a prefix length, for example 198.51.100.0/24',
    ],
    [
      "a prefix that is too long",
      { peerCidrs: ["10.0.0.0/33"] },
      'peerCidrs: "10.0.0.0/33": the prefix length must be 0 to 32',
    ],
    [
      "bits beyond the prefix",
      { peerCidrs: ["198.51.100.7/24"] },
      'peerCidrs: "198.51.100.7/24": bits are set beyond the prefix; write 198.51.100.0/24',
    ],
    ["a rate of 0", { maxBps: 0 }, "maxBps: must be bytes per second, a whole number from 1"],
    ["a fraction of an allocation", { maxAllocations: 1.5 }, /^maxAllocations: /],
    ["another tenant than the key's", { tenant: "other" }, "tenant: key k1 signs for tenant acme only"],
  ])("are not minted for %s", (_, change, message) => {
    const mint = (): unknown => mintCredential({ key, claims: { ...claims, ...change }, expiresAt: EXPIRES }, crypto);
    expect(mint).toThrow(CredentialError);
    expect(mint).toThrow(message);
  });

  it("are not minted beyond 508 bytes, and the error says what takes the room", () => {
    const peerCidrs = Array.from({ length: 16 }, (_, index) => `2001:db8:1234:${index + 1000}::/64`);
    expect(() => mintCredential({ key, claims: { ...claims, peerCidrs }, expiresAt: EXPIRES }, crypto)).toThrow(
      /^the username would take \d+ bytes; 508 is the most that TURN allows: use a shorter user or fewer peerCidrs$/,
    );
  });

  it.each([
    ["claims that are no base64url", "%%%"],
    ["claims that are no JSON", Buffer.from("{").toString("base64url")],
    ["a list", base64url([])],
    ["null", base64url(null)],
    ["no user", base64url({ t: "acme" })],
    ["another tenant than the key's", base64url({ t: "other", u: "alice" })],
    ["a claim that is not known", base64url({ t: "acme", u: "alice", z: 1 })],
    ["a claim of another type", base64url({ t: "acme", u: "alice", a: "3" })],
    ["claims in another order", base64url({ u: "alice", t: "acme" })],
    ["a prototype", Buffer.from('{"t":"acme","u":"alice","__proto__":{}}').toString("base64url")],
    ["invalid UTF-8", Buffer.from([0x7b, 0xff, 0x7d]).toString("base64url")],
    ["a code point cut short", Buffer.from([0xe2, 0x82]).toString("base64url")],
  ])("are malformed with %s", (what, encoded) => {
    const resolution = ring.resolve(`${EXPIRES}:k1:${encoded}`, NOW);
    // With characters that base64url does not have it is not of the minted form at all, but a user id of the REST scheme.
    expect(resolution).toEqual({ ok: false, reason: what.endsWith("base64url") ? "unknown-key" : "malformed" });
  });

  it("are refused when expired, of an unknown key, of a removed key, or of a key that ended", () => {
    const { username } = mintCredential({ key, claims, expiresAt: EXPIRES }, crypto);
    expect(ring.resolve(username, EXPIRES)).toEqual({ ok: false, reason: "expired" });

    const other = new KeyRing({ crypto });
    expect(other.resolve(username, NOW)).toEqual({ ok: false, reason: "unknown-key" });
    other.apply({ type: "key-changed", key });
    expect(other.resolve(username, NOW).ok).toBe(true);
    other.apply({ type: "key-changed", key: { ...key, state: "retiring", notAfter: NOW + 5 } });
    expect(other.resolve(username, NOW + 4).ok).toBe(true);
    expect(other.resolve(username, NOW + 5)).toEqual({ ok: false, reason: "key-expired" });
    other.apply({ type: "key-removed", tenant: "acme", kid: "k1" });
    expect(other.resolve(username, NOW)).toEqual({ ok: false, reason: "unknown-key" });
  });

  it("are not taken for REST credentials of the default tenant, nor the other way round", () => {
    const mixed = new KeyRing({ crypto });
    const secret = utf8("shared");
    mixed.replace({ keys: [{ tenant: "default", kid: "k1", secret, state: "active" }], revocations: [] });
    const { username, password } = mintCredential(
      { key: { ...key, tenant: "default", secret }, claims: { ...claims, tenant: "default" }, expiresAt: EXPIRES },
      crypto,
    );
    expect(mixed.resolve(username, NOW)).toMatchObject({ scheme: "minted", candidates: [{ password }] });
    // A user of a REST application who calls himself `<kid>:<claims>` gets a password of the REST scheme, which no
    // candidate equals.
    const forged = createHmac("sha1", "shared").update(username).digest("base64");
    expect(mixed.resolve(username, NOW)).not.toMatchObject({ candidates: [{ password: forged }] });
  });
});
