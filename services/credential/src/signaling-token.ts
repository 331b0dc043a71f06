import { deriveSignalingKey, SIGNALING_AUDIENCE, type SigningKey } from "@culvert/credentials";
import { nodeCrypto } from "@culvert/runtime";
import { SignJWT } from "jose";

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
  /** Names the trace that it is issued in. */
  readonly trace?: string | undefined;
}): Promise<string> {
  const { trace } = input;
  return new SignJWT({ tenant: input.key.tenant, ...(trace === undefined ? {} : { trace }) })
    .setProtectedHeader({ alg: "HS256", typ: "JWT", kid: input.key.kid })
    .setSubject(input.user)
    .setAudience(SIGNALING_AUDIENCE)
    .setIssuedAt(input.issuedAt)
    .setExpirationTime(input.expiresAt)
    .setJti(input.id)
    .sign(deriveSignalingKey(input.key.secret, nodeCrypto));
}
