import { utf8Length } from "@culvert/stun";
import { type CredentialClaims, decodeClaims, isOpaqueText } from "./claims.ts";

/** RFC 8489 section 14.3: a USERNAME must be less than 509 bytes. */
export const MAX_USERNAME_BYTES = 508;

/**
 * A username taken apart.
 *
 * - `minted`: `<unix-expiry>:<kid>:<base64url claims>`; `claims` is undefined when they do not parse
 * - `rest`: coturn's `<unix-expiry>:<userid>`, `<userid>:<unix-expiry>` or bare `<unix-expiry>` (then `user` is empty)
 */
export type ParsedUsername =
  | {
      readonly form: "minted";
      readonly expiresAt: number;
      readonly kid: string;
      readonly claims: CredentialClaims | undefined;
      readonly restUser: string;
    }
  | { readonly form: "rest"; readonly expiresAt: number; readonly user: string };

const MINTED = /^(\d{1,12}):([A-Za-z0-9_-]{1,64}):([A-Za-z0-9_-]+)$/;
const EXPIRY_FIRST = /^(\d{1,12})(?::(.*))?$/su;
const EXPIRY_LAST = /^(.*):(\d{1,12})$/su;

/**
 * Takes a username apart. Never throws.
 *
 * @returns `undefined` when the text is no time-limited username at all
 */
export function parseUsername(username: string): ParsedUsername | undefined {
  if (username.length > MAX_USERNAME_BYTES || !isOpaqueText(username)) return undefined;
  if (utf8Length(username) > MAX_USERNAME_BYTES) return undefined;
  const minted = MINTED.exec(username);
  if (minted !== null) {
    const [, expiry = "", kid = "", encoded = ""] = minted;
    const restUser = `${kid}:${encoded}`;
    return { form: "minted", expiresAt: Number(expiry), kid, claims: decodeClaims(encoded), restUser };
  }
  const first = EXPIRY_FIRST.exec(username);
  if (first !== null) return { form: "rest", expiresAt: Number(first[1]), user: first[2] ?? "" };
  const last = EXPIRY_LAST.exec(username);
  if (last !== null) return { form: "rest", expiresAt: Number(last[2]), user: last[1] ?? "" };
  return undefined;
}

/**
 * The user that a username stands for, which is what quotas count: the same for every expiry. A username without an expiry
 * is its own user.
 */
export function userOf(username: string): string {
  const parsed = parseUsername(username);
  if (parsed === undefined) return username;
  if (parsed.form === "rest") return parsed.user;
  return parsed.claims?.user ?? parsed.restUser;
}
