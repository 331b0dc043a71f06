import type { CredentialClaims, KeyRing } from "@culvert/credentials";
import { type StunCrypto, userHash } from "@culvert/stun";
import type { Authenticator, Claims, CredentialQuery, CredentialResolution, KnownCredential } from "@culvert/turn";
import type { StaticUser } from "../config.ts";

/** What of an authenticator may change while it is in use. */
export interface AuthenticatorConfig {
  readonly users: readonly StaticUser[];
  /** Bytes per second that no credential goes beyond. */
  readonly maxBps: number | undefined;
}

export interface AuthenticatorOptions extends AuthenticatorConfig {
  readonly realm: string;
  readonly keys: KeyRing;
  /** Whether the key ring can ever hold a key. Its users cannot be found by user hash. */
  readonly usesKeys: boolean;
  readonly crypto: StunCrypto;
  /** Told of each credential that is known, before it is known whether the password is right. */
  readonly onKnown?: (claims: CredentialClaims) => void;
}

export interface ConfigurableAuthenticator extends Authenticator {
  /** Counts for requests from now on; what was granted stays. */
  configure(config: AuthenticatorConfig): void;
}

/** Static users first, then whatever the key ring can derive a password for. */
export function createAuthenticator(options: AuthenticatorOptions): ConfigurableAuthenticator {
  const byName = new Map<string, KnownCredential>();
  const byHash = new Map<string, KnownCredential>();
  let { maxBps } = options;
  configure(options);
  return {
    supportsUserHash: !options.usesKeys && byHash.size > 0,
    resolve: (query) => staticUser(query) ?? derived(query),
    configure,
  };

  function configure(config: AuthenticatorConfig): void {
    maxBps = config.maxBps;
    byName.clear();
    byHash.clear();
    for (const { username, password, tenant } of config.users) {
      const claims = capped({ tenant, user: username });
      const known: KnownCredential = { kind: "known", username, claims, candidates: [{ password }] };
      byName.set(username, known);
      byHash.set(hex(userHash(username, options.realm, options.crypto)), known);
    }
  }

  function capped(claims: Claims): Claims {
    if (maxBps === undefined) return claims;
    return { ...claims, maxBps: Math.min(claims.maxBps ?? maxBps, maxBps) };
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
