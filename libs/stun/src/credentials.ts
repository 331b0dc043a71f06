import type { StunCrypto } from "./crypto.ts";
import { utf8Encode } from "./utf8.ts";

const SPACE = /\p{Zs}/gu;

/**
 * The OpaqueString profile (RFC 8265 section 4.2) as far as comparing needs it: other spaces become U+0020, then NFC.
 * Whether the text is allowed at all is `isOpaqueString`'s question.
 */
export function opaqueString(text: string): string {
  return text.replace(SPACE, " ").normalize("NFC");
}

/** Control and unassigned characters, lone surrogates, and what a reader cannot see. */
const DISALLOWED = /[\p{Cc}\p{Cs}\p{Cn}\p{Default_Ignorable_Code_Point}]/u;

/** Whether a text may be prepared as an OpaqueString (RFC 8265 section 4.2.1): not empty, no control characters. */
export function isOpaqueString(text: string): boolean {
  return text.length > 0 && !DISALLOWED.test(text);
}

export interface LongTermCredential {
  /** As in USERNAME. */
  readonly username: string;
  readonly realm: string;
  readonly password: string;
  readonly algorithm: "md5" | "sha256";
}

/**
 * The key of the long-term credential mechanism: 16 bytes for MD5, 32 for SHA-256 (RFC 8489 sections 9.2.2 and 18.5.1).
 * Realm and password go through `opaqueString`.
 */
export function longTermKey(credential: LongTermCredential, crypto: StunCrypto): Uint8Array {
  const { username, realm, password } = credential;
  const input = utf8Encode(`${username}:${opaqueString(realm)}:${opaqueString(password)}`);
  return credential.algorithm === "md5" ? crypto.md5(input) : crypto.sha256(input);
}

/** The key of the short-term credential mechanism (RFC 8489 section 9.1.1). */
export function shortTermKey(password: string): Uint8Array {
  return utf8Encode(opaqueString(password));
}

/** The value of USERHASH, 32 bytes (RFC 8489 section 14.4). */
export function userHash(username: string, realm: string, crypto: StunCrypto): Uint8Array {
  return crypto.sha256(utf8Encode(`${opaqueString(username)}:${opaqueString(realm)}`));
}
