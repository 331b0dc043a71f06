import type { KeyChange, KeyUpdate, Revocation, SigningKey } from "@culvert/credentials";
import { compactTrace } from "@culvert/tracing";
import type { ApiToken, CredentialStore, StoredKey, Tenant } from "./credential-store.ts";

/** A `CredentialStore` that lives and dies with the process. */
export function createMemoryCredentialStore(): CredentialStore {
  const tenants = new Map<string, Tenant>();
  const tokens = new Map<string, ApiToken>();
  const tokensByHash = new Map<string, ApiToken>();
  const keys = new Map<string, StoredKey>();
  const revocations = new Map<string, Map<string, Revocation>>();
  const listeners = new Set<(update: KeyUpdate) => void>();
  let revision = 0n;

  const tell = (change: KeyChange): void => {
    revision += 1n;
    const trace = compactTrace();
    const told = trace === undefined ? change : { ...change, trace };
    for (const listener of [...listeners]) listener({ revision, change: told });
  };
  const putKey = (key: StoredKey): void => {
    keys.set(key.kid, key);
    tell({ type: "key-changed", key: signingKey(key) });
  };
  const dropKey = (key: StoredKey): void => {
    keys.delete(key.kid);
    tell({ type: "key-removed", tenant: key.tenant, kid: key.kid });
  };
  const dropToken = (token: ApiToken): void => {
    tokens.delete(token.id);
    tokensByHash.delete(token.hash);
  };
  const keysOf = (tenant: string): StoredKey[] => [...keys.values()].filter((key) => key.tenant === tenant);
  const tokensOf = (tenant: string): ApiToken[] => [...tokens.values()].filter((token) => token.tenant === tenant);

  return {
    async createTenant(tenant) {
      if (tenants.has(tenant.id)) return false;
      tenants.set(tenant.id, tenant);
      return true;
    },
    async tenant(id) {
      return tenants.get(id);
    },
    async tenants({ after, limit }) {
      return [...tenants.values()]
        .filter((tenant) => after === undefined || tenant.id > after)
        .sort((a, b) => (a.id < b.id ? -1 : 1))
        .slice(0, limit);
    },
    async updateTenant(tenant) {
      const known = tenants.get(tenant.id);
      if (known === undefined) return "missing";
      if (known.version !== tenant.version - 1) return "conflict";
      tenants.set(tenant.id, tenant);
      return "updated";
    },
    async deleteTenant(id) {
      if (!tenants.delete(id)) return false;
      tokensOf(id).forEach(dropToken);
      keysOf(id).forEach(dropKey);
      revocations.delete(id);
      return true;
    },

    async createToken(token) {
      if (!tenants.has(token.tenant)) return "no-tenant";
      if (tokens.has(token.id) || tokensByHash.has(token.hash)) return "taken";
      tokens.set(token.id, token);
      tokensByHash.set(token.hash, token);
      return "created";
    },
    async tokenByHash(hash) {
      return tokensByHash.get(hash);
    },
    async tokens(tenant) {
      return tokensOf(tenant);
    },
    async deleteToken(tenant, id) {
      const token = tokens.get(id);
      if (token?.tenant !== tenant) return false;
      dropToken(token);
      return true;
    },

    async createKey(key) {
      if (!tenants.has(key.tenant)) return "no-tenant";
      if (keys.has(key.kid)) return "taken";
      putKey(key);
      return "created";
    },
    async key(kid) {
      return keys.get(kid);
    },
    async keys(tenant) {
      return keysOf(tenant);
    },
    async rotateKey(kid, successor, notAfter) {
      const key = keys.get(kid);
      if (key === undefined || key.tenant !== successor.tenant) return "missing";
      if (key.state !== "active") return "not-active";
      if (keys.has(successor.kid)) return "taken";
      putKey(successor);
      putKey({ ...key, state: "retiring", notAfter });
      return "rotated";
    },
    async retireKey(tenant, kid, notAfter) {
      const key = keys.get(kid);
      if (key?.tenant !== tenant) return false;
      putKey({ ...key, state: "retiring", notAfter });
      return true;
    },
    async deleteKey(tenant, kid) {
      const key = keys.get(kid);
      if (key?.tenant !== tenant) return false;
      dropKey(key);
      return true;
    },

    async revoke(revocation, limit) {
      if (!tenants.has(revocation.tenant)) return "no-tenant";
      const ofTenant = revocations.get(revocation.tenant) ?? new Map<string, Revocation>();
      const name = subjectName(revocation);
      const known = ofTenant.get(name);
      if (known === undefined && ofTenant.size >= limit) return "too-many";
      const merged: Revocation = {
        ...revocation,
        revokedAt: Math.max(revocation.revokedAt, known?.revokedAt ?? 0),
        expiresAt: Math.max(revocation.expiresAt, known?.expiresAt ?? 0),
      };
      ofTenant.set(name, merged);
      revocations.set(revocation.tenant, ofTenant);
      tell({ type: "revoked", revocation: merged });
      return "revoked";
    },
    async revocations(tenant) {
      return [...(revocations.get(tenant)?.values() ?? [])];
    },
    async pruneRevocations(nowSeconds) {
      let pruned = 0;
      for (const ofTenant of revocations.values()) {
        for (const [name, revocation] of ofTenant) {
          if (revocation.expiresAt > nowSeconds) continue;
          ofTenant.delete(name);
          pruned += 1;
        }
      }
      return pruned;
    },

    async watch(listener) {
      // A function of its own for each watch: one listener may watch twice.
      const own = (update: KeyUpdate): void => listener(update);
      listeners.add(own);
      listener({
        revision,
        snapshot: {
          keys: [...keys.values()].map(signingKey),
          revocations: [...revocations.values()].flatMap((ofTenant) => [...ofTenant.values()]),
        },
      });
      return {
        async close() {
          listeners.delete(own);
        },
      };
    },
    async healthy() {
      return true;
    },
    async close() {
      listeners.clear();
    },
  };
}

function subjectName({ subject }: Revocation): string {
  return subject.kind === "username" ? `username:${subject.username}` : `user:${subject.user}`;
}

function signingKey({ tenant, kid, secret, state, notAfter }: StoredKey): SigningKey {
  return { tenant, kid, secret, state, ...(notAfter === undefined ? {} : { notAfter }) };
}
