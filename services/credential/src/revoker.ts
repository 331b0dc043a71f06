import { DEFAULT_TENANT, isOpaqueText, type KeyRing, parseUsername, type Revocation } from "@culvert/credentials";
import type { CredentialStore } from "@culvert/state";
import { ApiError, invalid, notFound } from "./errors.ts";

export interface RevokerOptions {
  readonly store: CredentialStore;
  /** Follows the store. */
  readonly ring: KeyRing;
  /** Seconds for which a credential can have been issued at most. */
  readonly maxTtl: number;
  /** Revocations of one tenant. */
  readonly limit: number;
  readonly clock: () => number;
  /** Called with each revocation that is in force. */
  readonly onRevoked: (revocation: Revocation) => void;
}

/** Takes credentials back. Throws `ApiError` with what is wrong with the request. */
export class Revoker {
  readonly #options: RevokerOptions;

  constructor(options: RevokerOptions) {
    this.#options = options;
  }

  /** Revokes one username until it expires. One that has expired already needs nothing and succeeds. */
  async username(tenant: string, username: string): Promise<Revocation> {
    const { ring, maxTtl } = this.#options;
    const parsed = parseUsername(username);
    const now = this.#now();
    if (parsed === undefined) throw notFound("username");
    const isMinted = parsed.form === "minted" && parsed.claims !== undefined;
    const owner = isMinted ? parsed.claims?.tenant : DEFAULT_TENANT;
    if (owner !== tenant) throw notFound("username");
    // Nothing that could be minted lasts longer; an entry for it would only take room for as long as it likes.
    if (isMinted && (parsed.expiresAt > now + maxTtl || ring.key(parsed.kid)?.tenant !== tenant))
      throw notFound("username");
    const subject = { kind: "username", username } as const;
    const revocation: Revocation = { tenant, subject, revokedAt: now, expiresAt: parsed.expiresAt };
    if (parsed.expiresAt > now) await this.#revoke(revocation);
    return revocation;
  }

  /** Revokes all that a user has been issued until now. What is issued from now on holds. */
  async user(tenant: string, user: string): Promise<Revocation> {
    if (user === "" || !isOpaqueText(user)) throw invalid("user: must be text without control characters");
    const now = this.#now();
    // One second on: what was issued in this second is meant too.
    const revokedAt = now + 1;
    const subject = { kind: "user", user } as const;
    const revocation: Revocation = { tenant, subject, revokedAt, expiresAt: revokedAt + this.#options.maxTtl };
    await this.#revoke(revocation);
    return revocation;
  }

  async #revoke(revocation: Revocation): Promise<void> {
    const { store, ring, limit, onRevoked } = this.#options;
    const result = await store.revoke(revocation, limit);
    if (result === "no-tenant") throw notFound("tenant");
    if (result === "too-many")
      throw new ApiError(429, "too_many_revocations", `the tenant has ${limit} revocations in force`, 60);
    // The own feed tells it too, perhaps later than the next request to issue for the same user comes.
    ring.apply({ type: "revoked", revocation });
    onRevoked(revocation);
  }

  #now(): number {
    return Math.floor(this.#options.clock() / 1000);
  }
}
