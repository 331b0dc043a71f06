import type { CredentialClaims } from "./claims.ts";
import {
  type CredentialCrypto,
  DEFAULT_TENANT,
  type KeyChange,
  type KeySnapshot,
  type Revocation,
  type SigningKey,
} from "./keys.ts";
import { mintedPassword, restPassword } from "./mint.ts";
import { parseUsername } from "./username.ts";

/** Why a username gets no password to compare with. */
export type RejectionReason = "malformed" | "expired" | "unknown-key" | "key-expired" | "revoked";

/** A password that the username may have been issued with. */
export interface PasswordCandidate {
  readonly kid: string;
  readonly password: string;
}

export type Resolution =
  | {
      readonly ok: true;
      /** Which scheme the username follows. */
      readonly scheme: "rest" | "minted";
      readonly claims: CredentialClaims;
      /** Seconds since the Unix epoch. */
      readonly expiresAt: number;
      /** At least one; more where several secrets of the default tenant are in use. Newest key first. */
      readonly candidates: readonly PasswordCandidate[];
    }
  | { readonly ok: false; readonly reason: RejectionReason };

interface TenantRevocations {
  readonly usernames: Map<string, Revocation>;
  readonly users: Map<string, Revocation>;
}

const later = (a: Revocation | undefined, b: Revocation): Revocation =>
  a === undefined
    ? b
    : { ...b, revokedAt: Math.max(a.revokedAt, b.revokedAt), expiresAt: Math.max(a.expiresAt, b.expiresAt) };

/**
 * The signing keys and revocations that a verifier knows, kept by a snapshot and the changes after it. Verifying asks
 * nobody: what was learned last stays in force while its source is away.
 */
export class KeyRing {
  readonly #crypto: CredentialCrypto;
  readonly #defaultTenant: string;
  #keys: Map<string, SigningKey> = new Map();
  #revocations: Map<string, TenantRevocations> = new Map();

  /** @param options.defaultTenant whose secrets verify coturn's REST scheme; "default" unless told */
  constructor(options: { readonly crypto: CredentialCrypto; readonly defaultTenant?: string }) {
    this.#crypto = options.crypto;
    this.#defaultTenant = options.defaultTenant ?? DEFAULT_TENANT;
  }

  /** Forgets everything and takes the snapshot instead. */
  replace(snapshot: KeySnapshot): void {
    this.#keys = new Map(snapshot.keys.map((key) => [key.kid, key]));
    this.#revocations = new Map();
    for (const revocation of snapshot.revocations) this.#revoke(revocation);
  }

  apply(change: KeyChange): void {
    switch (change.type) {
      case "key-changed":
        this.#keys.set(change.key.kid, change.key);
        return;
      case "key-removed":
        if (this.#keys.get(change.kid)?.tenant === change.tenant) this.#keys.delete(change.kid);
        return;
      case "revoked":
        this.#revoke(change.revocation);
    }
  }

  /** The key of that name, whatever its state. */
  key(kid: string): SigningKey | undefined {
    return this.#keys.get(kid);
  }

  /** The keys of a tenant, the newest first. */
  keysOf(tenant: string): readonly SigningKey[] {
    return [...this.#keys.values()].filter((key) => key.tenant === tenant).reverse();
  }

  /** The key that signs for a tenant: its newest active one. */
  signingKey(tenant: string, nowSeconds: number): SigningKey | undefined {
    return this.keysOf(tenant).find((key) => key.state === "active" && isUsable(key, nowSeconds));
  }

  /**
   * Finds what a username entitles to and the passwords it can have been issued with. Never throws.
   *
   * @param nowSeconds seconds since the Unix epoch
   */
  resolve(username: string, nowSeconds: number): Resolution {
    const parsed = parseUsername(username);
    if (parsed === undefined) return { ok: false, reason: "malformed" };
    const key = parsed.form === "minted" ? this.#keys.get(parsed.kid) : undefined;
    // A REST user id may contain a colon, so the shape alone decides only where the kid or the claims say the same.
    if (parsed.form === "minted" && (key !== undefined || parsed.claims !== undefined)) {
      if (key === undefined) return { ok: false, reason: "unknown-key" };
      if (parsed.claims === undefined || parsed.claims.tenant !== key.tenant) return { ok: false, reason: "malformed" };
      const password = (): string => mintedPassword(key.secret, username, this.#crypto);
      return this.#judge(
        { ...parsed, scheme: "minted", claims: parsed.claims, keys: [key], password, username },
        nowSeconds,
      );
    }
    const user = parsed.form === "minted" ? parsed.restUser : parsed.user;
    const claims: CredentialClaims = { tenant: this.#defaultTenant, user };
    const keys = this.keysOf(this.#defaultTenant);
    const password = (candidate: SigningKey): string => restPassword(candidate.secret, username, this.#crypto);
    return this.#judge({ expiresAt: parsed.expiresAt, scheme: "rest", claims, keys, password, username }, nowSeconds);
  }

  /**
   * Whether a username or its user is revoked.
   *
   * A REST username does not tell when it was issued: a revocation of its user refuses it for as long as the entry lasts.
   */
  isRevoked(username: string, claims: CredentialClaims, nowSeconds: number): boolean {
    const ofTenant = this.#revocations.get(claims.tenant);
    if (ofTenant === undefined) return false;
    const byName = ofTenant.usernames.get(username);
    if (byName !== undefined && nowSeconds < byName.expiresAt) return true;
    const byUser = ofTenant.users.get(claims.user);
    return byUser !== undefined && nowSeconds < byUser.expiresAt && (claims.issuedAt ?? 0) < byUser.revokedAt;
  }

  /** The revocation of a user that is in force, if any. */
  userRevocation(tenant: string, user: string, nowSeconds: number): Revocation | undefined {
    const revocation = this.#revocations.get(tenant)?.users.get(user);
    return revocation !== undefined && nowSeconds < revocation.expiresAt ? revocation : undefined;
  }

  /** Forgets revocations that no longer mean anything. Call it now and then; nothing depends on when. */
  prune(nowSeconds: number): void {
    for (const [tenant, { usernames, users }] of this.#revocations) {
      for (const entries of [usernames, users]) {
        for (const [subject, revocation] of entries) {
          if (revocation.expiresAt <= nowSeconds) entries.delete(subject);
        }
      }
      if (usernames.size + users.size === 0) this.#revocations.delete(tenant);
    }
  }

  /** How many keys and revocations are known. */
  get size(): { readonly keys: number; readonly revocations: number } {
    let revocations = 0;
    for (const { usernames, users } of this.#revocations.values()) revocations += usernames.size + users.size;
    return { keys: this.#keys.size, revocations };
  }

  #judge(
    found: {
      readonly scheme: "rest" | "minted";
      readonly username: string;
      readonly expiresAt: number;
      readonly claims: CredentialClaims;
      readonly keys: readonly SigningKey[];
      readonly password: (key: SigningKey) => string;
    },
    nowSeconds: number,
  ): Resolution {
    const { scheme, username, expiresAt, claims, keys } = found;
    if (keys.length === 0) return { ok: false, reason: "unknown-key" };
    if (nowSeconds >= expiresAt) return { ok: false, reason: "expired" };
    const usable = keys.filter((key) => isUsable(key, nowSeconds));
    if (usable.length === 0) return { ok: false, reason: "key-expired" };
    if (this.isRevoked(username, claims, nowSeconds)) return { ok: false, reason: "revoked" };
    const candidates = usable.map((key) => ({ kid: key.kid, password: found.password(key) }));
    return { ok: true, scheme, claims, expiresAt, candidates };
  }

  #revoke(revocation: Revocation): void {
    const ofTenant = this.#revocations.get(revocation.tenant) ?? { usernames: new Map(), users: new Map() };
    this.#revocations.set(revocation.tenant, ofTenant);
    const { subject } = revocation;
    if (subject.kind === "username") {
      ofTenant.usernames.set(subject.username, later(ofTenant.usernames.get(subject.username), revocation));
    } else {
      ofTenant.users.set(subject.user, later(ofTenant.users.get(subject.user), revocation));
    }
  }
}

function isUsable(key: SigningKey, nowSeconds: number): boolean {
  return key.notAfter === undefined || nowSeconds < key.notAfter;
}
