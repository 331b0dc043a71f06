import type { CredentialClaims, KeyRing } from "@culvert/credentials";
import { type StunCrypto, userHash } from "@culvert/stun";
import type { Authenticator, Claims, CredentialQuery, CredentialResolution, KnownCredential } from "@culvert/turn";
import type { StaticUser } from "../config.ts";

export interface AuthenticatorOptions {
  readonly users: readonly StaticUser[];
  readonly realm: string;
  readonly keys: KeyRing;
  /** Whether the key ring can ever hold a key. Its users cannot be found by user hash. */
  readonly usesKeys: boolean;
  /** Bytes per second that no credential goes beyond. */
  readonly maxBps?: number;
  readonly crypto: StunCrypto;
  /** Told of each credential that is known, before it is known whether the password is right. */
  readonly onKnown?: (claims: CredentialClaims) => void;
}

/** Static users first, then whatever the key ring can derive a password for. */
export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const byName = new Map<string, KnownCredential>();
  const byHash = new Map<string, KnownCredential>();
  for (const { username, password, tenant } of options.users) {
    const claims = capped({ tenant, user: username });
    const known: KnownCredential = { kind: "known", username, claims, candidates: [{ password }] };
    byName.set(username, known);
    byHash.set(hex(userHash(username, options.realm, options.crypto)), known);
  }
  return {
    supportsUserHash: !options.usesKeys && byHash.size > 0,
    resolve: (query) => staticUser(query) ?? derived(query),
  };

  function capped(claims: Claims): Claims {
    if (options.maxBps === undefined) return claims;
    return { ...claims, maxBps: Math.min(claims.maxBps ?? options.maxBps, options.maxBps) };
  }

  function staticUser(query: CredentialQuery): CredentialResolution | undefined {
    const known = query.username === undefined ? byHash.get(hex(query.userHash)) : byName.get(query.username);
    if (known !== undefined) options.onKnown?.(known.claims);
    return known;
  }

  function derived({ username, nowMs }: CredentialQuery): CredentialResolution {
    if (username === undefined) return { kind: "rejected", reason: "unknown-user" };
    const found = options.keys.resolve(username, nowMs / 1000);
    if (!found.ok) return { kind: "rejected", reason: found.reason };
    options.onKnown?.(found.claims);
    const [newest] = found.candidates;
    const kid = found.scheme === "minted" ? newest?.kid : undefined;
    return {
      kind: "known",
      claims: capped({ ...found.claims, ...(kid === undefined ? {} : { kid }) }),
      expiresAt: found.expiresAt * 1000,
      candidates: found.candidates,
    };
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
