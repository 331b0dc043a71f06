import { KeyRing, mintCredential, type Revocation, type SigningKey } from "@culvert/credentials";
import { describe, expect, it } from "vitest";
import { crypto, utf8 } from "./crypto.ts";

const NOW = 1_700_000_000;
const keys: SigningKey[] = [
  { tenant: "acme", kid: "k1", secret: utf8("north"), state: "active" },
  { tenant: "default", kid: "d1", secret: utf8("south"), state: "active" },
];
const [acmeKey] = keys;

const ringWith = (...revocations: Revocation[]): KeyRing => {
  const ring = new KeyRing({ crypto });
  ring.replace({ keys, revocations });
  return ring;
};
const minted = (user: string, issuedAt: number): string => {
  if (acmeKey === undefined) throw new Error("no key");
  const claims = { tenant: "acme", user, issuedAt };
  return mintCredential({ key: acmeKey, claims, expiresAt: NOW + 600 }, crypto).username;
};
const ofUser = (tenant: string, user: string, revokedAt = NOW): Revocation => ({
  tenant,
  subject: { kind: "user", user },
  revokedAt,
  expiresAt: NOW + 1000,
});

describe("revocation", () => {
  it("of a username refuses that one and no other", () => {
    const [first, second] = [minted("alice", NOW - 20), minted("alice", NOW - 10)];
    const subject = { kind: "username", username: first } as const;
    const ring = ringWith({ tenant: "acme", subject, revokedAt: NOW, expiresAt: NOW + 600 });
    expect(ring.resolve(first, NOW)).toEqual({ ok: false, reason: "revoked" });
    expect(ring.resolve(second, NOW).ok).toBe(true);
  });

  it("of a user refuses what was issued before and accepts what is issued from then on", () => {
    const ring = ringWith(ofUser("acme", "alice"));
    expect(ring.resolve(minted("alice", NOW - 1), NOW)).toEqual({ ok: false, reason: "revoked" });
    expect(ring.resolve(minted("alice", NOW), NOW).ok).toBe(true);
    expect(ring.resolve(minted("alicia", NOW - 1), NOW).ok).toBe(true);
  });

  it("stays inside its tenant", () => {
    expect(ringWith(ofUser("default", "alice")).resolve(minted("alice", NOW - 1), NOW).ok).toBe(true);
  });

  it("of a user of the REST scheme lasts as long as the entry, since such usernames do not tell when they were issued", () => {
    const ring = ringWith(ofUser("default", "alice"));
    expect(ring.resolve(`${NOW + 5000}:alice`, NOW)).toEqual({ ok: false, reason: "revoked" });
    expect(ring.resolve(`alice:${NOW + 5000}`, NOW)).toEqual({ ok: false, reason: "revoked" });
    expect(ring.resolve(`${NOW + 5000}:alice`, NOW + 1000).ok).toBe(true);
  });

  it("arrives as a change, and of two the later times hold", () => {
    const ring = ringWith();
    const username = minted("alice", NOW - 1);
    ring.apply({ type: "revoked", revocation: ofUser("acme", "alice", NOW) });
    ring.apply({ type: "revoked", revocation: ofUser("acme", "alice", NOW - 100) });
    expect(ring.resolve(username, NOW)).toEqual({ ok: false, reason: "revoked" });
    expect(ring.userRevocation("acme", "alice", NOW)?.revokedAt).toBe(NOW);
  });

  it("is forgotten by a snapshot that does not hold it", () => {
    const ring = ringWith(ofUser("acme", "alice"));
    ring.replace({ keys, revocations: [] });
    expect(ring.resolve(minted("alice", NOW - 1), NOW).ok).toBe(true);
  });

  it("is pruned when it means nothing any more", () => {
    const ring = ringWith(ofUser("acme", "alice"), ofUser("acme", "bob"));
    expect(ring.size).toEqual({ keys: 2, revocations: 2 });
    ring.prune(NOW + 999);
    expect(ring.size.revocations).toBe(2);
    ring.prune(NOW + 1000);
    expect(ring.size.revocations).toBe(0);
  });

  it("keeps subjects that look like object members apart", () => {
    const ring = ringWith(ofUser("acme", "__proto__"), ofUser("acme", "*"));
    expect(ring.resolve(minted("constructor", NOW - 1), NOW).ok).toBe(true);
    expect(ring.resolve(minted("alice", NOW - 1), NOW).ok).toBe(true);
    expect(ring.resolve(minted("__proto__", NOW - 1), NOW)).toEqual({ ok: false, reason: "revoked" });
  });
});
