import { hkdfSync } from "node:crypto";
import type { SigningKey } from "@culvert/credentials";
import { SignJWT } from "jose";

export const SIGNALING_AUDIENCE = "culvert-signaling";
const INFO = "culvert signaling jwt";

/** The key of signaling tokens: HKDF-SHA256 (RFC 5869) of the signing key's secret, no salt, 32 bytes. */
export function signalingKey(secret: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", secret, new Uint8Array(0), INFO, 32));
}

/**
 * Signs a JWT (RFC 7519, HS256) for the signaling service. Its `kid` names the signing key.
 *
 * @param input.issuedAt seconds since the Unix epoch
 * @param input.expiresAt seconds since the Unix epoch
 */
export function signSignalingToken(input: {
  readonly key: SigningKey;
  readonly user: string;
  readonly id: string;
  readonly issuedAt: number;
  readonly expiresAt: number;
}): Promise<string> {
  return new SignJWT({ tenant: input.key.tenant })
    .setProtectedHeader({ alg: "HS256", typ: "JWT", kid: input.key.kid })
    .setSubject(input.user)
    .setAudience(SIGNALING_AUDIENCE)
    .setIssuedAt(input.issuedAt)
    .setExpirationTime(input.expiresAt)
    .setJti(input.id)
    .sign(signalingKey(input.key.secret));
}
