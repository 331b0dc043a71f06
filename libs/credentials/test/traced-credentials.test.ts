import { type CredentialClaims, KeyRing, mintCredential, type SigningKey, userOf } from "@culvert/credentials";
import { expect, test } from "vitest";
import { crypto, utf8 } from "./crypto.ts";

// A credential may name the trace that it was issued in.

const NOW = 1_700_000_000;
const TRACE = "CvdlGRbNQ92ESOshHIAxnLetaxaSAzMx";
const key: SigningKey = { tenant: "acme", kid: "k1", secret: utf8("north"), state: "active" };
const ring = new KeyRing({ crypto });
ring.replace({ keys: [key], revocations: [] });

const mint = (claims: Partial<CredentialClaims>): string =>
  mintCredential({ key, claims: { tenant: "acme", user: "alice", ...claims }, expiresAt: NOW + 600 }, crypto).username;

test("the trace comes back with the other claims, and the user stays the same", () => {
  const username = mint({ trace: TRACE });
  expect(ring.resolve(username, NOW)).toMatchObject({ ok: true, claims: { user: "alice", trace: TRACE } });
  expect(userOf(username)).toBe("alice");
});

test("it takes 52 bytes", () => {
  expect(mint({ trace: TRACE }).length - mint({}).length).toBeLessThanOrEqual(52);
});

test("it is left out where a username has no room for it, and never the reason to refuse", () => {
  const claims = { user: "u".repeat(128), peerCidrs: Array.from({ length: 10 }, (_, at) => `198.51.100.${at}/32`) };
  const plain = mint(claims);
  expect(plain.length).toBeGreaterThan(508 - 52);
  expect(mint({ ...claims, trace: TRACE })).toBe(plain);
});

test.each(["", "short", `${TRACE}A`, "?".repeat(32)])("%j is no trace: such a credential is refused", (trace) => {
  expect(() => mint({ trace })).toThrow(/^trace: must be 24 bytes in base64url$/);
  const claims = Buffer.from(JSON.stringify({ t: "acme", u: "alice", x: trace })).toString("base64url");
  expect(ring.resolve(`${NOW + 600}:k1:${claims}`, NOW)).toEqual({ ok: false, reason: "malformed" });
});
