import { createHash, timingSafeEqual } from "node:crypto";
import type { FailureLimiter } from "@culvert/runtime";
import type { CredentialStore } from "@culvert/state";
import type { Scope } from "./config.ts";
import { ApiError, forbidden, unauthenticated } from "./errors.ts";

/** Who calls. */
export type Principal =
  | { readonly kind: "admin" }
  | { readonly kind: "token"; readonly id: string; readonly tenant: string; readonly scopes: ReadonlySet<string> };

/** SHA-256 of a token as the store keeps it. Tokens are long and random, so a slow hash would protect nothing more. */
export function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

/** Whether two hashes of the same length are equal, in constant time. */
function sameHash(a: string, b: string): boolean {
  return timingSafeEqual(Buffer.from(a), Buffer.from(b));
}

/** Turns presented tokens into principals, and slows down who presents wrong ones. */
export class TokenAuthenticator {
  readonly #store: CredentialStore;
  #adminHash: string | undefined;
  readonly #limiter: FailureLimiter;
  readonly #clock: () => number;
  readonly #onFailure: () => void;

  constructor(options: {
    readonly store: CredentialStore;
    readonly adminToken: string | undefined;
    readonly limiter: FailureLimiter;
    readonly clock: () => number;
    readonly onFailure: () => void;
  }) {
    this.#store = options.store;
    this.setAdminToken(options.adminToken);
    this.#limiter = options.limiter;
    this.#clock = options.clock;
    this.#onFailure = options.onFailure;
  }

  /** Undefined: there is no administrator. */
  setAdminToken(token: string | undefined): void {
    this.#adminHash = token === undefined ? undefined : hashToken(token);
  }

  /**
   * @param token what was presented; `undefined` when nothing was
   * @throws ApiError 401, or 429 when the source failed too often lately, whatever it presents now
   */
  async authenticate(token: string | undefined, sourceIp: string): Promise<Principal> {
    const now = this.#clock();
    const wait = this.#limiter.waitSeconds(sourceIp, now);
    if (wait > 0) {
      throw new ApiError(429, "too_many_failures", `too many failed authentications; try again in ${wait} s`, wait);
    }
    if (token === undefined) throw unauthenticated();
    const principal = await this.#find(hashToken(token), now);
    if (principal !== undefined) return principal;
    this.#limiter.fail(sourceIp, now);
    this.#onFailure();
    throw unauthenticated();
  }

  async #find(hash: string, now: number): Promise<Principal | undefined> {
    if (this.#adminHash !== undefined && sameHash(hash, this.#adminHash)) return { kind: "admin" };
    const known = await this.#store.tokenByHash(hash);
    if (known === undefined || !sameHash(known.hash, hash)) return undefined;
    if (known.expiresAt !== undefined && now >= known.expiresAt * 1000) return undefined;
    return { kind: "token", id: known.id, tenant: known.tenant, scopes: new Set(known.scopes) };
  }
}

/** @throws ApiError 403 when the principal may not do that in the tenant */
export function demand(principal: Principal, scope: Scope, tenant: string): void {
  if (principal.kind === "admin") return;
  if (principal.tenant !== tenant || !principal.scopes.has(scope)) throw forbidden(scope);
}
