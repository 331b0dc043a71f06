import { utf8Encode, utf8Length } from "@culvert/stun";
import { encodeBase64 } from "./base64.ts";
import { type CredentialClaims, checkClaims, encodeClaims, isOpaqueText } from "./claims.ts";
import type { CredentialCrypto, SigningKey } from "./keys.ts";
import { MAX_USERNAME_BYTES } from "./username.ts";

/** What a TURN client authenticates with. */
export interface Credential {
  readonly username: string;
  readonly password: string;
}

/** Which input a credential could not be minted from. */
export type CredentialErrorCode = "invalid-claims" | "username-too-long";

/** A credential cannot be minted from what was asked for. The message is fit for whoever asked. */
export class CredentialError extends Error {
  readonly code: CredentialErrorCode;

  constructor(code: CredentialErrorCode, message: string) {
    super(message);
    this.name = "CredentialError";
    this.code = code;
  }
}

/** The password of coturn's REST scheme: base64(HMAC-SHA1(secret, username)). */
export function restPassword(secret: Uint8Array, username: string, crypto: CredentialCrypto): string {
  return encodeBase64(crypto.hmacSha1(secret, utf8Encode(username)));
}

/**
 * The password of an API-minted username: base64(HMAC-SHA256(secret, username)). The username holds expiry, kid and claims,
 * so all of them are covered. The other hash keeps the two schemes apart where they share a secret.
 */
export function mintedPassword(secret: Uint8Array, username: string, crypto: CredentialCrypto): string {
  return encodeBase64(crypto.hmacSha256(secret, utf8Encode(username)));
}

function checkLength(username: string, what: string): void {
  const bytes = utf8Length(username);
  if (bytes <= MAX_USERNAME_BYTES) return;
  throw new CredentialError(
    "username-too-long",
    `the username would take ${bytes} bytes; ${MAX_USERNAME_BYTES} is the most that TURN allows: ${what}`,
  );
}

/**
 * Mints by coturn's REST scheme (`use-auth-secret`).
 *
 * @param input.secret the shared secret: UTF-8 bytes of coturn's `static-auth-secret`
 * @param input.userId may be empty: the username is the bare expiry then
 * @param input.expiresAt seconds since the Unix epoch
 * @throws CredentialError when the username would be too long or the user id holds control characters
 */
export function mintRest(
  input: { readonly secret: Uint8Array; readonly userId: string; readonly expiresAt: number },
  crypto: CredentialCrypto,
): Credential {
  if (!isOpaqueText(input.userId)) {
    throw new CredentialError("invalid-claims", "username: must not hold control characters");
  }
  const username = input.userId === "" ? `${input.expiresAt}` : `${input.expiresAt}:${input.userId}`;
  checkLength(username, "use a shorter username");
  return { username, password: restPassword(input.secret, username, crypto) };
}

/**
 * Mints `<unix-expiry>:<kid>:<base64url claims>`. The trace is left out where there is no room for it.
 *
 * @param input.expiresAt seconds since the Unix epoch
 * @throws CredentialError when a claim is not valid, or when they do not fit the 508 bytes of a USERNAME
 */
export function mintCredential(
  input: { readonly key: SigningKey; readonly claims: CredentialClaims; readonly expiresAt: number },
  crypto: CredentialCrypto,
): Credential {
  const checked = checkClaims(input.claims);
  if (!checked.ok) {
    throw new CredentialError("invalid-claims", `${checked.problem.claim}: ${checked.problem.message}`);
  }
  if (checked.claims.tenant !== input.key.tenant) {
    throw new CredentialError(
      "invalid-claims",
      `tenant: key ${input.key.kid} signs for tenant ${input.key.tenant} only`,
    );
  }
  const { trace: _, ...needed } = checked.claims;
  const usernameOf = (claims: CredentialClaims): string =>
    `${input.expiresAt}:${input.key.kid}:${encodeClaims(claims)}`;
  const whole = usernameOf(checked.claims);
  const username = utf8Length(whole) > MAX_USERNAME_BYTES ? usernameOf(needed) : whole;
  checkLength(username, "use a shorter user or fewer peerCidrs");
  return { username, password: mintedPassword(input.key.secret, username, crypto) };
}
