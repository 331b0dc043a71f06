import type { KeyUpdate, Revocation, SigningKey } from "@culvert/credentials";

/** What a tenant's credentials are given unless they ask for less. Absent: no limit but the relay's own. */
export interface TenantQuotas {
  /** Allocations that one user may hold at once. */
  readonly allocationsPerUser?: number;
  /** Bytes per second for each direction of an allocation. */
  readonly bytesPerSecond?: number;
}

/** What a tenant may ask for. Absent: the service's own limits. */
export interface TenantLimits {
  /** The longest lifetime of a credential, in seconds. */
  readonly maxTtl?: number;
}

export interface Tenant {
  /** Unique; 1 to 64 letters, digits, `_` or `-`. */
  readonly id: string;
  readonly name: string;
  readonly quotas: TenantQuotas;
  readonly limits: TenantLimits;
  /** Seconds since the Unix epoch. */
  readonly createdAt: number;
  /** 1 when created, one more with each update. */
  readonly version: number;
}

/** An API token as it is kept: the token itself is known to its holder only. */
export interface ApiToken {
  /** Unique over all tenants. */
  readonly id: string;
  readonly tenant: string;
  readonly name: string;
  /** SHA-256 of the token, lower-case hex. Unique. */
  readonly hash: string;
  readonly scopes: readonly string[];
  /** Seconds since the Unix epoch. */
  readonly createdAt: number;
  /** Seconds since the Unix epoch from which on the token is refused. Absent: never. */
  readonly expiresAt?: number;
}

/** A signing key as it is kept. */
export interface StoredKey extends SigningKey {
  /** Seconds since the Unix epoch. */
  readonly createdAt: number;
}

/** A running `CredentialStore.watch`. */
export interface StoreWatch {
  /** Ends the watch. The listener is not called afterwards. */
  close(): Promise<void>;
}

/**
 * Where tenants, API tokens, signing keys and revocations live.
 *
 * Each call is atomic by itself; no call depends on another having been made just before, so that any number of processes
 * can share a store. What a caller has read may be old when it writes: writes that depend on it take what they expect to
 * replace, and say so when it is not there any more. Every call may reject when the store cannot be reached.
 */
export interface CredentialStore {
  /** @returns false when the id is taken */
  createTenant(tenant: Tenant): Promise<boolean>;
  tenant(id: string): Promise<Tenant | undefined>;
  /** Up to `limit` tenants in order of their ids, from the first one after `after`. */
  tenants(page: { readonly after?: string; readonly limit: number }): Promise<readonly Tenant[]>;
  /** Replaces the tenant whose version is one less than the given one's. */
  updateTenant(tenant: Tenant): Promise<"updated" | "conflict" | "missing">;
  /** Removes a tenant with its tokens, keys and revocations. @returns false when there is none */
  deleteTenant(id: string): Promise<boolean>;

  /** A token with the id or hash of another is not added. */
  createToken(token: ApiToken): Promise<"created" | "taken" | "no-tenant">;
  /** @param hash SHA-256 of the presented token, lower-case hex */
  tokenByHash(hash: string): Promise<ApiToken | undefined>;
  /** In order of creation. */
  tokens(tenant: string): Promise<readonly ApiToken[]>;
  /** @returns false when the tenant has no such token */
  deleteToken(tenant: string, id: string): Promise<boolean>;

  /** Kids are unique over all tenants. */
  createKey(key: StoredKey): Promise<"created" | "taken" | "no-tenant">;
  key(kid: string): Promise<StoredKey | undefined>;
  /** In order of creation: the last active one signs. */
  keys(tenant: string): Promise<readonly StoredKey[]>;
  /**
   * Adds the successor and makes the key retire, at once. Of two rotations of one key at the same time one succeeds.
   *
   * @param notAfter seconds since the Unix epoch from which on the old key verifies nothing
   */
  rotateKey(
    kid: string,
    successor: StoredKey,
    notAfter: number,
  ): Promise<"rotated" | "missing" | "not-active" | "taken">;
  /** Makes a key retire, or moves the end of one that does. @returns false when the tenant has no such key */
  retireKey(tenant: string, kid: string, notAfter: number): Promise<boolean>;
  /** @returns false when the tenant has no such key */
  deleteKey(tenant: string, kid: string): Promise<boolean>;

  /**
   * Adds a revocation. Of two with the same subject the later times hold.
   *
   * @param limit how many the tenant may have; a subject that is revoked already does not count anew
   */
  revoke(revocation: Revocation, limit: number): Promise<"revoked" | "too-many" | "no-tenant">;
  revocations(tenant: string): Promise<readonly Revocation[]>;
  /** Forgets revocations with `expiresAt` at or before now. Watchers know it by themselves and are not told. */
  pruneRevocations(nowSeconds: number): Promise<number>;

  /**
   * Follows keys and revocations. The listener has had a snapshot when the promise resolves and then gets each change once,
   * in order, its revision one more than the one before; a store that lost its place tells a new snapshot instead.
   */
  watch(listener: (update: KeyUpdate) => void): Promise<StoreWatch>;

  /** Whether the store answers. */
  healthy(): Promise<boolean>;
  close(): Promise<void>;
}
