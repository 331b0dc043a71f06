import type { KeyUpdate, Revocation } from "@culvert/credentials";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ApiToken, CredentialStore, StoredKey, Tenant } from "../credential-store.ts";

/** For `vi.waitFor`: the test's own time limit is to be the one that counts. */
const SOON = { timeout: 30_000, interval: 5 };

/** One place of storage under test. */
export interface CredentialStoreFixture {
  /** A store of its own on the same storage: what another process would hold. */
  connect(): Promise<CredentialStore>;
  dispose(): Promise<void>;
}

const NOW = 1_700_000_000;
const LIMIT = 3;

const tenantOf = (id: string, change: Partial<Tenant> = {}): Tenant => ({
  id,
  name: `Tenant ${id}`,
  quotas: { allocationsPerUser: 5, bytesPerSecond: 125_000 },
  limits: { maxTtl: 3600 },
  createdAt: NOW,
  version: 1,
  ...change,
});
const keyOf = (kid: string, change: Partial<StoredKey> = {}): StoredKey => ({
  tenant: "acme",
  kid,
  secret: new Uint8Array([0, 255, kid.length, 10, 13]),
  state: "active",
  createdAt: NOW,
  ...change,
});
const tokenOf = (id: string, change: Partial<ApiToken> = {}): ApiToken => ({
  id,
  tenant: "acme",
  name: "app",
  hash: `hash-of-${id}`,
  scopes: ["credentials:issue"],
  createdAt: NOW,
  ...change,
});
const userRevocation = (user: string, change: Partial<Revocation> = {}): Revocation => ({
  tenant: "acme",
  subject: { kind: "user", user },
  revokedAt: NOW,
  expiresAt: NOW + 100,
  ...change,
});
const signing = ({ createdAt: _, ...key }: StoredKey): Omit<StoredKey, "createdAt"> => key;
const sorted = <T>(values: readonly T[]): T[] =>
  [...values].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));

/** What every implementation of {@link CredentialStore} does. Run it inside a vitest file. */
export function describeCredentialStoreContract(name: string, create: () => Promise<CredentialStoreFixture>): void {
  describe(`CredentialStore contract: ${name}`, () => {
    let fixture: CredentialStoreFixture;
    let store: CredentialStore;
    /** Another process on the same storage. */
    let other: CredentialStore;

    beforeEach(async () => {
      fixture = await create();
      store = await fixture.connect();
      other = await fixture.connect();
    });
    afterEach(() => fixture.dispose());

    const withTenant = (): Promise<boolean> => store.createTenant(tenantOf("acme"));
    const follow = async (from: CredentialStore): Promise<KeyUpdate[]> => {
      const updates: KeyUpdate[] = [];
      await from.watch((update) => updates.push(update));
      return updates;
    };
    const told = (updates: readonly KeyUpdate[], count: number): Promise<void> =>
      vi.waitFor(() => expect(updates.length).toBeGreaterThanOrEqual(count), SOON);

    describe("tenants", () => {
      it("are created once and read by every process", async () => {
        expect(await store.createTenant(tenantOf("acme"))).toBe(true);
        expect(await other.createTenant(tenantOf("acme", { name: "another" }))).toBe(false);
        expect(await other.tenant("acme")).toEqual(tenantOf("acme"));
        expect(await other.tenant("none")).toBeUndefined();
      });

      it("are created once under concurrency", async () => {
        const results = await Promise.all(
          [store, other, store, other].map((each) => each.createTenant(tenantOf("acme"))),
        );
        expect(results.filter(Boolean)).toHaveLength(1);
      });

      it("are listed by id, a page at a time", async () => {
        for (const id of ["c", "a", "b"]) await store.createTenant(tenantOf(id));
        const ids = async (page: { after?: string; limit: number }): Promise<string[]> =>
          (await store.tenants(page)).map((tenant) => tenant.id);
        expect(await ids({ limit: 2 })).toEqual(["a", "b"]);
        expect(await ids({ after: "b", limit: 2 })).toEqual(["c"]);
        expect(await ids({ after: "c", limit: 2 })).toEqual([]);
      });

      it("are updated only from the version that was read", async () => {
        await withTenant();
        const renamed = tenantOf("acme", { name: "new", version: 2 });
        expect(await store.updateTenant(renamed)).toBe("updated");
        expect(await other.updateTenant(tenantOf("acme", { name: "late", version: 2 }))).toBe("conflict");
        expect(await other.tenant("acme")).toEqual(renamed);
        expect(await store.updateTenant(tenantOf("none", { version: 2 }))).toBe("missing");
      });

      it("go with their tokens, keys and revocations", async () => {
        await withTenant();
        await store.createTenant(tenantOf("other"));
        await store.createToken(tokenOf("t1"));
        await store.createToken(tokenOf("t2", { tenant: "other" }));
        await store.createKey(keyOf("k1"));
        await store.createKey(keyOf("k2", { tenant: "other" }));
        await store.revoke(userRevocation("alice"), LIMIT);

        expect(await other.deleteTenant("acme")).toBe(true);
        expect(await other.deleteTenant("acme")).toBe(false);
        expect(await store.tenant("acme")).toBeUndefined();
        expect(await store.tokenByHash("hash-of-t1")).toBeUndefined();
        expect(await store.key("k1")).toBeUndefined();
        expect(await store.revocations("acme")).toEqual([]);
        expect(await store.tokenByHash("hash-of-t2")).toMatchObject({ id: "t2" });
        expect(await store.key("k2")).toMatchObject({ kid: "k2" });
      });
    });

    describe("API tokens", () => {
      it("are found by their hash and listed in order of creation", async () => {
        await withTenant();
        const tokens = [tokenOf("t2"), tokenOf("t1", { expiresAt: NOW + 5, scopes: ["a:b", "c:d"] })];
        for (const token of tokens) expect(await store.createToken(token)).toBe("created");
        expect(await other.tokenByHash("hash-of-t1")).toEqual(tokens[1]);
        expect(await other.tokenByHash("hash-of-none")).toBeUndefined();
        expect(await other.tokens("acme")).toEqual(tokens);
        expect(await other.tokens("none")).toEqual([]);
      });

      it("have unique ids and hashes, and a tenant", async () => {
        await withTenant();
        await store.createToken(tokenOf("t1"));
        expect(await other.createToken(tokenOf("t1", { hash: "another" }))).toBe("taken");
        expect(await other.createToken(tokenOf("t2", { hash: "hash-of-t1" }))).toBe("taken");
        expect(await other.createToken(tokenOf("t3", { tenant: "none" }))).toBe("no-tenant");
        expect(await store.tokens("acme")).toHaveLength(1);
      });

      it("are deleted within their tenant only", async () => {
        await withTenant();
        await store.createTenant(tenantOf("other"));
        await store.createToken(tokenOf("t1"));
        expect(await store.deleteToken("other", "t1")).toBe(false);
        expect(await other.deleteToken("acme", "t1")).toBe(true);
        expect(await other.deleteToken("acme", "t1")).toBe(false);
        expect(await store.tokenByHash("hash-of-t1")).toBeUndefined();
      });
    });

    describe("signing keys", () => {
      it("keep their secret's bytes and their order", async () => {
        await withTenant();
        const keys = [keyOf("z"), keyOf("a", { state: "retiring", notAfter: NOW + 5 })];
        for (const key of keys) expect(await store.createKey(key)).toBe("created");
        expect(await other.keys("acme")).toEqual(keys);
        expect(await other.key("a")).toEqual(keys[1]);
        expect(await other.key("none")).toBeUndefined();
      });

      it("have kids that are unique over all tenants, and a tenant", async () => {
        await withTenant();
        await store.createTenant(tenantOf("other"));
        await store.createKey(keyOf("k1"));
        expect(await other.createKey(keyOf("k1", { tenant: "other" }))).toBe("taken");
        expect(await other.createKey(keyOf("k2", { tenant: "none" }))).toBe("no-tenant");
      });

      it("rotate: the successor signs, the old one retires and stays until its end", async () => {
        await withTenant();
        await store.createKey(keyOf("k1"));
        expect(await store.rotateKey("k1", keyOf("k2"), NOW + 60)).toBe("rotated");
        expect(await other.keys("acme")).toEqual([keyOf("k1", { state: "retiring", notAfter: NOW + 60 }), keyOf("k2")]);
      });

      it("rotate once under concurrency", async () => {
        await withTenant();
        await store.createKey(keyOf("k1"));
        const results = await Promise.all(
          [store, other, store, other].map((each, index) => each.rotateKey("k1", keyOf(`n${index}`), NOW + 60)),
        );
        expect(results.filter((result) => result === "rotated")).toHaveLength(1);
        expect(results.filter((result) => result === "not-active")).toHaveLength(3);
        expect(await store.keys("acme")).toHaveLength(2);
      });

      it("do not rotate when there is none, for another tenant, or into a kid that is taken", async () => {
        await withTenant();
        await store.createTenant(tenantOf("other"));
        await store.createKey(keyOf("k1"));
        await store.createKey(keyOf("k2", { tenant: "other" }));
        expect(await store.rotateKey("none", keyOf("k3"), NOW)).toBe("missing");
        expect(await store.rotateKey("k2", keyOf("k3"), NOW)).toBe("missing");
        expect(await store.rotateKey("k1", keyOf("k2"), NOW)).toBe("taken");
        expect(await store.key("k1")).toEqual(keyOf("k1"));
        expect(await store.key("k3")).toBeUndefined();
      });

      it("retire, and retire anew with another end", async () => {
        await withTenant();
        await store.createKey(keyOf("k1"));
        expect(await store.retireKey("acme", "k1", NOW + 60)).toBe(true);
        expect(await other.retireKey("acme", "k1", NOW + 30)).toBe(true);
        expect(await store.key("k1")).toEqual(keyOf("k1", { state: "retiring", notAfter: NOW + 30 }));
        expect(await store.retireKey("other", "k1", NOW)).toBe(false);
        expect(await store.retireKey("acme", "none", NOW)).toBe(false);
      });

      it("are deleted within their tenant only", async () => {
        await withTenant();
        await store.createKey(keyOf("k1"));
        expect(await store.deleteKey("other", "k1")).toBe(false);
        expect(await other.deleteKey("acme", "k1")).toBe(true);
        expect(await store.deleteKey("acme", "k1")).toBe(false);
        expect(await store.keys("acme")).toEqual([]);
      });
    });

    describe("revocations", () => {
      const username: Revocation = {
        tenant: "acme",
        subject: { kind: "username", username: "1700000100:k1:*>.:{}%n" },
        revokedAt: NOW,
        expiresAt: NOW + 50,
      };

      it("are kept per subject, whatever characters it has", async () => {
        await withTenant();
        expect(await store.revoke(username, LIMIT)).toBe("revoked");
        expect(await other.revoke(userRevocation("1700000100:k1:*>.:{}%n"), LIMIT)).toBe("revoked");
        expect(sorted(await store.revocations("acme"))).toEqual(
          sorted([username, userRevocation("1700000100:k1:*>.:{}%n")]),
        );
        expect(await store.revocations("none")).toEqual([]);
      });

      it("of one subject take the later times", async () => {
        await withTenant();
        await store.revoke(userRevocation("alice", { revokedAt: NOW, expiresAt: NOW + 10 }), LIMIT);
        await other.revoke(userRevocation("alice", { revokedAt: NOW - 5, expiresAt: NOW + 90 }), LIMIT);
        expect(await store.revocations("acme")).toEqual([
          userRevocation("alice", { revokedAt: NOW, expiresAt: NOW + 90 }),
        ]);
      });

      it("are limited per tenant; a known subject does not count anew", async () => {
        await withTenant();
        for (const user of ["a", "b", "c"]) expect(await store.revoke(userRevocation(user), LIMIT)).toBe("revoked");
        expect(await other.revoke(userRevocation("d"), LIMIT)).toBe("too-many");
        expect(await other.revoke(userRevocation("a"), LIMIT)).toBe("revoked");
        expect(await store.revocations("acme")).toHaveLength(3);
      });

      it("need a tenant", async () => {
        expect(await store.revoke(userRevocation("alice"), LIMIT)).toBe("no-tenant");
      });

      it("are forgotten from their end on", async () => {
        await withTenant();
        await store.revoke(userRevocation("alice", { expiresAt: NOW + 10 }), LIMIT);
        await store.revoke(userRevocation("bob", { expiresAt: NOW + 11 }), LIMIT);
        expect(await other.pruneRevocations(NOW + 9)).toBe(0);
        expect(await other.pruneRevocations(NOW + 10)).toBe(1);
        expect(await store.revocations("acme")).toEqual([userRevocation("bob", { expiresAt: NOW + 11 })]);
      });
    });

    describe("a watch", () => {
      it("has had a snapshot of everything when it starts", async () => {
        await withTenant();
        await store.createKey(keyOf("k1"));
        await store.createKey(keyOf("k2", { state: "retiring", notAfter: NOW + 5 }));
        await store.revoke(userRevocation("alice"), LIMIT);
        const [first] = await follow(other);
        expect(first).toEqual({
          revision: expect.any(BigInt),
          snapshot: {
            keys: [signing(keyOf("k1")), signing(keyOf("k2", { state: "retiring", notAfter: NOW + 5 }))],
            revocations: [userRevocation("alice")],
          },
        });
      });

      it("tells every change of every process, in order, each revision one more", async () => {
        await withTenant();
        const updates = await follow(other);
        await store.createKey(keyOf("k1"));
        await other.rotateKey("k1", keyOf("k2"), NOW + 60);
        await store.retireKey("acme", "k2", NOW + 90);
        await store.revoke(userRevocation("alice"), LIMIT);
        await store.deleteKey("acme", "k1");
        await store.deleteTenant("acme");
        await told(updates, 8);

        expect(updates.slice(1).map((update) => ("change" in update ? update.change : "snapshot"))).toEqual([
          { type: "key-changed", key: signing(keyOf("k1")) },
          { type: "key-changed", key: signing(keyOf("k2")) },
          { type: "key-changed", key: signing(keyOf("k1", { state: "retiring", notAfter: NOW + 60 })) },
          { type: "key-changed", key: signing(keyOf("k2", { state: "retiring", notAfter: NOW + 90 })) },
          { type: "revoked", revocation: userRevocation("alice") },
          { type: "key-removed", tenant: "acme", kid: "k1" },
          { type: "key-removed", tenant: "acme", kid: "k2" },
        ]);
        const start = updates[0]?.revision ?? 0n;
        expect(updates.map((update) => update.revision)).toEqual(updates.map((_, index) => start + BigInt(index)));
      });

      it("is told nothing of what changed nothing, of tokens or of tenants", async () => {
        await withTenant();
        await store.createKey(keyOf("k1"));
        const updates = await follow(store);
        await store.createKey(keyOf("k1"));
        await store.deleteKey("acme", "none");
        await store.rotateKey("none", keyOf("k9"), NOW);
        await store.createToken(tokenOf("t1"));
        await store.createTenant(tenantOf("other"));
        await store.deleteKey("acme", "k1");
        await told(updates, 2);
        expect(updates[1]).toMatchObject({ change: { type: "key-removed", kid: "k1" } });
      });

      it("gives a snapshot and changes without a gap, whenever it starts", async () => {
        await withTenant();
        const writing = Promise.all(Array.from({ length: 20 }, (_, index) => store.createKey(keyOf(`k${index}`))));
        const updates = await follow(other);
        await writing;
        await vi.waitFor(() => {
          const kids = updates.flatMap((update) => {
            if ("snapshot" in update) return update.snapshot.keys.map((key) => key.kid);
            return update.change.type === "key-changed" ? [update.change.key.kid] : [];
          });
          expect(new Set(kids).size).toBe(20);
          expect(kids).toHaveLength(20);
        }, SOON);
      });

      it("tells nothing after it was closed", async () => {
        await withTenant();
        const updates: KeyUpdate[] = [];
        const watch = await other.watch((update) => updates.push(update));
        const witness = await follow(other);
        await watch.close();
        await store.createKey(keyOf("k1"));
        await told(witness, 2);
        expect(updates).toHaveLength(1);
      });
    });

    it("says that it answers", async () => {
      expect(await store.healthy()).toBe(true);
    });
  });
}
