import type { CredentialCrypto } from "./keys.ts";

/** `aud` of the JWTs that open signaling sessions. */
export const SIGNALING_AUDIENCE = "culvert-signaling";

const HASH_BYTES = 32;
const INFO = { jwt: "culvert signaling jwt", resume: "culvert signaling resume" } as const;

/**
 * A key for one purpose of the signaling service, from a tenant's signing secret: HKDF-SHA256 (RFC 5869) without salt,
 * 32 bytes. `jwt` signs the tokens that open sessions (HS256), `resume` those that resume them.
 */
export function deriveSignalingKey(
  secret: Uint8Array,
  crypto: Pick<CredentialCrypto, "hmacSha256">,
  purpose: keyof typeof INFO = "jwt",
): Uint8Array {
  const pseudoRandomKey = crypto.hmacSha256(new Uint8Array(HASH_BYTES), secret);
  // One block is all that is needed: T(1) = HMAC(PRK, info | 0x01).
  const info = Uint8Array.from(`${INFO[purpose]}\u0001`, (character) => character.charCodeAt(0));
  return crypto.hmacSha256(pseudoRandomKey, info);
}
