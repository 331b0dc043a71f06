import { createHmac, timingSafeEqual } from "node:crypto";
import {
  deriveSignalingKey,
  KeyRing,
  type KeySource,
  type KeyWatch,
  SIGNALING_AUDIENCE,
  type SigningKey,
} from "@culvert/credentials";
import { isUser, type Principal, type ResumeSigner, type VerifyResult } from "@culvert/rendezvous";
import { nodeCrypto } from "@culvert/runtime";
import { decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from "jose";

const PRUNE_MS = 600_000;

export interface TokensOptions {
  readonly source: KeySource;
  /** The clock of the hub; JWTs are compared with the time of day and translated. */
  readonly clock: () => number;
  /** Called when keys went or users were revoked: who is no longer accepted must go. */
  readonly onRevoked: () => void;
}

/** What came of a token, and the trace that it was issued in; the latter of a good one only. */
export interface Verified {
  readonly result: VerifyResult;
  readonly trace?: string;
}

/** The keys of all tenants: verifies the tokens that open sessions, signs and verifies those that resume them. */
export class Tokens {
  readonly #ring: KeyRing = new KeyRing({ crypto: nodeCrypto });
  readonly #options: TokensOptions;
  readonly #derived = new WeakMap<SigningKey, Map<"jwt" | "resume", Uint8Array>>();
  #watch: KeyWatch | undefined;
  #prune: NodeJS.Timeout | undefined;
  #loaded = false;

  constructor(options: TokensOptions) {
    this.#options = options;
  }

  follow(): void {
    this.#watch = this.#options.source.watch({
      onSnapshot: (snapshot) => {
        this.#loaded = true;
        this.#ring.replace(snapshot);
        this.#options.onRevoked();
      },
      onChange: (change) => {
        this.#ring.apply(change);
        this.#options.onRevoked();
      },
    });
    this.#prune = setInterval(() => this.#ring.prune(Date.now() / 1000), PRUNE_MS).unref();
  }

  close(): void {
    this.#watch?.close();
    clearInterval(this.#prune);
  }

  /** Whether the keys have come. Keys that came once are used for as long as their source is away. */
  get loaded(): boolean {
    return this.#loaded;
  }

  get connected(): boolean {
    return this.#watch?.connected() ?? false;
  }

  get size(): number {
    return this.#ring.size.keys;
  }

  /** Verifies a JWT (RFC 7519): HS256, `kid` of a known key, `aud`, `exp`, `sub`, `tenant` of the key. Never rejects. */
  async verify(token: string): Promise<Verified> {
    const key = this.#keyOf(token);
    if (key === undefined) return refused("unknown-key");
    const seconds = Date.now() / 1000;
    if (key.notAfter !== undefined && key.notAfter <= seconds) return refused("key-expired");
    try {
      const { payload } = await jwtVerify(token, this.#derive(key, "jwt"), {
        algorithms: ["HS256"],
        audience: SIGNALING_AUDIENCE,
        requiredClaims: ["exp", "sub", "tenant"],
      });
      const result = this.#judge(payload, key, seconds);
      const { trace } = payload;
      return result.ok && typeof trace === "string" ? { result, trace } : { result };
    } catch (error) {
      return refused(error instanceof errors.JWTExpired ? "expired" : "bad-token");
    }
  }

  /** Whether a session that was opened then could be opened still. */
  accepts({ tenant, user, kid, issuedAt = 0 }: Principal): boolean {
    return this.#ring.key(kid)?.tenant === tenant && !this.#isRevoked(tenant, user, issuedAt / 1000, Date.now() / 1000);
  }

  /** What the hub signs resume tokens with. */
  readonly signer: ResumeSigner = {
    sign: (tenant, text) => this.#sign(tenant, text),
    verify: (tenant, kid, text, mac) => this.#verifyMac(tenant, kid, text, mac),
  };

  #sign(tenant: string, text: string): { readonly kid: string; readonly mac: string } | undefined {
    const seconds = Date.now() / 1000;
    const usable = this.#ring.keysOf(tenant).filter(({ notAfter }) => notAfter === undefined || seconds < notAfter);
    const key = usable.find(({ state }) => state === "active") ?? usable[0];
    return key === undefined ? undefined : { kid: key.kid, mac: this.#mac(key, text).toString("base64url") };
  }

  #verifyMac(tenant: string, kid: string, text: string, mac: string): boolean {
    const key = this.#ring.key(kid);
    if (key === undefined || key.tenant !== tenant) return false;
    const expected = this.#mac(key, text);
    const given = Buffer.from(mac, "base64url");
    return given.length === expected.length && timingSafeEqual(given, expected);
  }

  #judge(payload: JWTPayload, key: SigningKey, seconds: number): VerifyResult {
    const { sub, exp, iat = 0, tenant } = payload;
    if (tenant !== key.tenant) return { ok: false, reason: "other-tenant" };
    if (sub === undefined || exp === undefined || !isUser(sub)) return { ok: false, reason: "bad-subject" };
    if (this.#isRevoked(key.tenant, sub, iat, seconds)) return { ok: false, reason: "revoked" };
    const left = Math.min(exp, key.notAfter ?? exp) - seconds;
    const principal: Principal = {
      tenant: key.tenant,
      user: sub,
      kid: key.kid,
      issuedAt: iat * 1000,
      expiresAt: this.#options.clock() + left * 1000,
    };
    return { ok: true, principal };
  }

  #isRevoked(tenant: string, user: string, issuedAt: number, seconds: number): boolean {
    const revocation = this.#ring.userRevocation(tenant, user, seconds);
    return revocation !== undefined && issuedAt < revocation.revokedAt;
  }

  #keyOf(token: string): SigningKey | undefined {
    try {
      const { kid } = decodeProtectedHeader(token);
      return kid === undefined ? undefined : this.#ring.key(kid);
    } catch {
      return undefined;
    }
  }

  #mac(key: SigningKey, text: string): Buffer {
    return createHmac("sha256", this.#derive(key, "resume")).update(text).digest();
  }

  #derive(key: SigningKey, purpose: "jwt" | "resume"): Uint8Array {
    const known = this.#derived.get(key) ?? new Map<"jwt" | "resume", Uint8Array>();
    this.#derived.set(key, known);
    const derived = known.get(purpose) ?? deriveSignalingKey(key.secret, nodeCrypto, purpose);
    known.set(purpose, derived);
    return derived;
  }
}

function refused(reason: string): Verified {
  return { result: { ok: false, reason } };
}
