import {
  type Credential,
  type CredentialClaims,
  CredentialError,
  DEFAULT_TENANT,
  type KeyRing,
  mintCredential,
  mintRest,
} from "@culvert/credentials";
import { nodeCrypto, type RandomSource } from "@culvert/runtime";
import type { CredentialStore, StoredKey, Tenant } from "@culvert/state";
import { compactTrace, inSpan } from "@culvert/tracing";
import type { IssueConfig } from "./config.ts";
import { ApiError, conflict, invalid, notFound } from "./errors.ts";

/** What may be asked for with a credential. All of it is optional. */
export interface IssueRequest {
  /** Seconds. */
  readonly ttl?: number | undefined;
  /** Whom quotas and revocations mean. Absent: a user of its own for each credential. */
  readonly user?: string | undefined;
  readonly clientIp?: string | undefined;
  readonly peerCidrs?: readonly string[] | undefined;
  /** Bytes per second. */
  readonly maxBps?: number | undefined;
  readonly maxAllocations?: number | undefined;
}

export interface IssueOptions {
  /** The longest lifetime that the API shape knows, in seconds. */
  readonly maxTtl?: number;
  /** What becomes of a longer one: it is cut, or refused. */
  readonly longTtl: "cut" | "refuse";
  /** Whether coturn's REST scheme is preferred, where it can say all that has to be said. */
  readonly preferRest?: boolean;
  /** The key to sign with, if it still signs. */
  readonly kid?: string;
}

export interface Issued extends Credential {
  readonly scheme: "rest" | "minted";
  /** Seconds. */
  readonly ttl: number;
  /** Seconds since the Unix epoch. */
  readonly expiresAt: number;
}

export interface IssuerOptions {
  readonly store: CredentialStore;
  /** Follows the store. */
  readonly ring: KeyRing;
  readonly config: IssueConfig;
  readonly clock: () => number;
  readonly random: RandomSource;
}

/** Decides what a credential entitles to and mints it. Throws `ApiError` with what is wrong with the request. */
export class Issuer {
  readonly #options: IssuerOptions;

  constructor(options: IssuerOptions) {
    this.#options = options;
  }

  /** Seconds since the Unix epoch. */
  now(): number {
    return Math.floor(this.#options.clock() / 1000);
  }

  issue(tenantId: string, request: IssueRequest, options: IssueOptions): Promise<Issued> {
    return inSpan({ name: "issue credential", attributes: { "culvert.tenant": tenantId } }, async (span) => {
      const issued = await this.#issue(tenantId, request, options);
      span?.setAttribute("culvert.credential.scheme", issued.scheme);
      return issued;
    });
  }

  /** Names what is being traced, for what is issued. Undefined: nothing is. */
  trace(): string | undefined {
    return this.#options.config.traceContext ? compactTrace() : undefined;
  }

  async #issue(tenantId: string, request: IssueRequest, options: IssueOptions): Promise<Issued> {
    const tenant = await this.tenant(tenantId);
    const ttl = this.ttl(tenant, request.ttl, options);
    const key = await this.signingKey(tenantId, options.kid);
    const now = this.now();
    const expiresAt = now + ttl;
    const user = request.user ?? this.#ownUser();
    const claims: CredentialClaims = {
      tenant: tenantId,
      user,
      issuedAt: this.issuedAt(tenantId, user),
      ...limits(tenant, request),
    };
    try {
      if (options.preferRest === true && this.#fitsRest(claims)) {
        const credential = mintRest({ secret: key.secret, userId: user, expiresAt }, nodeCrypto);
        return { ...credential, scheme: "rest", ttl, expiresAt };
      }
      const trace = this.trace();
      const traced = trace === undefined ? claims : { ...claims, trace };
      return { ...mintCredential({ key, claims: traced, expiresAt }, nodeCrypto), scheme: "minted", ttl, expiresAt };
    } catch (error) {
      if (error instanceof CredentialError) throw new ApiError(400, error.code.replaceAll("-", "_"), error.message);
      throw error;
    }
  }

  async tenant(id: string): Promise<Tenant> {
    const tenant = await this.#options.store.tenant(id);
    if (tenant === undefined) throw notFound("tenant");
    return tenant;
  }

  /** The lifetime in seconds that is granted. */
  ttl(tenant: Tenant, asked: number | undefined, options: Pick<IssueOptions, "maxTtl" | "longTtl">): number {
    const { defaultTtl, maxTtl } = this.#options.config;
    const most = Math.min(maxTtl, tenant.limits.maxTtl ?? maxTtl, options.maxTtl ?? maxTtl);
    if (asked === undefined) return Math.min(defaultTtl, most);
    if (asked > most && options.longTtl === "refuse") throw invalid(`ttl: must be 1 to ${most} seconds`);
    return Math.min(asked, most);
  }

  /** The key of that name where it signs, otherwise the tenant's newest one that does. */
  async signingKey(tenant: string, kid?: string): Promise<StoredKey> {
    const now = this.now();
    const keys = (await this.#options.store.keys(tenant)).filter(
      (key) => key.state === "active" && (key.notAfter === undefined || now < key.notAfter),
    );
    const key = keys.find((each) => each.kid === kid) ?? keys.at(-1);
    if (key === undefined) throw conflict("the tenant has no active signing key");
    return key;
  }

  /** Seconds since the Unix epoch; after what was revoked of the user, since what is issued now is meant to hold. */
  issuedAt(tenant: string, user: string): number {
    const now = this.now();
    return Math.max(now, this.#options.ring.userRevocation(tenant, user, now)?.revokedAt ?? 0);
  }

  /**
   * The REST scheme says nothing but user and expiry. It does for the default tenant, unless there are limits, or the user
   * was revoked: then only a credential that tells when it was issued is told from those before.
   */
  #fitsRest(claims: CredentialClaims): boolean {
    const { tenant, user, issuedAt: _, ...restrictions } = claims;
    if (tenant !== DEFAULT_TENANT || Object.keys(restrictions).length > 0) return false;
    return this.#options.ring.userRevocation(tenant, user, this.now()) === undefined;
  }

  #ownUser(): string {
    return `anonymous-${Buffer.from(this.#options.random.bytes(9)).toString("base64url")}`;
  }
}

type Limits = Pick<CredentialClaims, "clientIp" | "peerCidrs" | "maxBps" | "maxAllocations">;

/** What was asked for, and the tenant's quotas where nothing was. */
function limits(tenant: Tenant, request: IssueRequest): Limits {
  const { allocationsPerUser, bytesPerSecond } = tenant.quotas;
  const maxAllocations = within("maxAllocations", request.maxAllocations, allocationsPerUser);
  const maxBps = within("maxBps", request.maxBps, bytesPerSecond);
  return {
    ...(request.clientIp === undefined ? {} : { clientIp: request.clientIp }),
    ...(request.peerCidrs === undefined ? {} : { peerCidrs: request.peerCidrs }),
    ...(maxBps === undefined ? {} : { maxBps }),
    ...(maxAllocations === undefined ? {} : { maxAllocations }),
  };
}

function within(name: string, asked: number | undefined, quota: number | undefined): number | undefined {
  if (asked !== undefined && quota !== undefined && asked > quota) {
    throw invalid(`${name}: must not exceed the tenant's ${quota}`);
  }
  return asked ?? quota;
}
