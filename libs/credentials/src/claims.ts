import { formatIp, parseIp, utf8Decode, utf8Encode, utf8Length } from "@culvert/stun";
import { decodeBase64Url, encodeBase64Url } from "./base64.ts";
import { isId } from "./keys.ts";

/** What a credential entitles to. Absent limits mean the relay's own. */
export interface CredentialClaims {
  readonly tenant: string;
  /** Whom quotas, logs and revocations mean. At most 128 bytes of UTF-8, no control characters. */
  readonly user: string;
  /** Seconds since the Unix epoch. */
  readonly issuedAt?: number;
  /** The only IP address that may use the credential. */
  readonly clientIp?: string;
  /** The only peers that may be reached; 1 to 16 prefixes. They narrow the relay's peer policy and never widen it. */
  readonly peerCidrs?: readonly string[];
  /** Bytes per second for each direction of an allocation. */
  readonly maxBps?: number;
  /** Allocations that the user may hold at once. */
  readonly maxAllocations?: number;
  /** Names the trace that the credential was issued in: 24 bytes in base64url. It entitles to nothing. */
  readonly trace?: string;
}

/** Why a set of claims is not one. */
export interface ClaimsProblem {
  /** The name of the claim. */
  readonly claim: keyof CredentialClaims;
  /** What is wrong with it and what would be right, for a human. */
  readonly message: string;
}

export type ClaimsResult =
  | { readonly ok: true; readonly claims: CredentialClaims }
  | { readonly ok: false; readonly problem: ClaimsProblem };

export const MAX_USER_BYTES = 128;
export const MAX_PEER_CIDRS = 16;

// The control characters that an OpaqueString (RFC 8265 section 4.2), which a USERNAME is, cannot hold; and lone surrogates.
const FORBIDDEN = /[\p{Cc}\p{Cs}]/u;

/** Whether the text can be (a part of) a USERNAME: no control characters, no lone surrogates. */
export function isOpaqueText(text: string): boolean {
  return !FORBIDDEN.test(text);
}

/**
 * Brings `address/length` to its canonical form.
 *
 * @returns the canonical text, or what is wrong with it
 */
export function canonicalCidr(text: string): { readonly cidr: string } | { readonly problem: string } {
  const slash = text.indexOf("/");
  const address = parseIp(slash === -1 ? text : text.slice(0, slash));
  const lengthText = slash === -1 ? undefined : text.slice(slash + 1);
  if (address === undefined || (lengthText !== undefined && !/^(0|[1-9]\d{0,2})$/.test(lengthText))) {
    return { problem: `${JSON.stringify(text)}: must be an address and a prefix length, for example 198.51.100.0/24` };
  }
  const width = address.length * 8;
  const length = lengthText === undefined ? width : Number(lengthText);
  if (length > width) {
    return { problem: `${JSON.stringify(text)}: the prefix length must be 0 to ${width}` };
  }
  const network = address.map((byte, index) => byte & (0xff00 >> Math.min(8, Math.max(0, length - index * 8))));
  const cidr = `${formatIp(network)}/${length}`;
  if (network.some((byte, index) => byte !== address[index])) {
    return { problem: `${JSON.stringify(text)}: bits are set beyond the prefix; write ${cidr}` };
  }
  return { cidr };
}

type Checked<T> = { readonly value: T } | { readonly message: string };

const text =
  (accepts: (value: string) => boolean, message: string) =>
  (value: unknown): Checked<string> =>
    typeof value === "string" && accepts(value) ? { value } : { message };

const integer =
  (min: number, what: string) =>
  (value: unknown): Checked<number> =>
    typeof value === "number" && Number.isSafeInteger(value) && value >= min
      ? { value }
      : { message: `must be ${what}, a whole number from ${min}` };

function checkClientIp(value: unknown): Checked<string> {
  const bytes = typeof value === "string" ? parseIp(value) : undefined;
  return bytes === undefined ? { message: "must be an IPv4 or IPv6 address" } : { value: formatIp(bytes) };
}

function checkPeerCidrs(value: unknown): Checked<readonly string[]> {
  if (!Array.isArray(value) || value.length < 1 || value.length > MAX_PEER_CIDRS) {
    return { message: `must be a list of 1 to ${MAX_PEER_CIDRS} prefixes` };
  }
  const cidrs: string[] = [];
  for (const item of value) {
    const result = canonicalCidr(typeof item === "string" ? item : String(item));
    if ("problem" in result) return { message: result.problem };
    cidrs.push(result.cidr);
  }
  return { value: cidrs };
}

const isUser = (value: string): boolean =>
  value.length > 0 && isOpaqueText(value) && utf8Length(value) <= MAX_USER_BYTES;

const TRACE = /^[A-Za-z0-9_-]{32}$/;

type Checks = { readonly [Name in keyof CredentialClaims]-?: (value: unknown) => Checked<CredentialClaims[Name]> };

const CHECKS: Checks = {
  tenant: text(isId, "must be 1 to 64 letters, digits, _ or -"),
  user: text(isUser, `must be 1 to ${MAX_USER_BYTES} bytes of UTF-8 without control characters`),
  issuedAt: integer(0, "seconds since the Unix epoch"),
  clientIp: checkClientIp,
  peerCidrs: checkPeerCidrs,
  maxBps: integer(1, "bytes per second"),
  maxAllocations: integer(1, "a number of allocations"),
  trace: text((value) => TRACE.test(value), "must be 24 bytes in base64url"),
};

// The names on the wire: every byte counts against the 508 of a USERNAME.
const WIRE_NAMES: ReadonlyMap<string, keyof CredentialClaims> = new Map([
  ["t", "tenant"],
  ["u", "user"],
  ["i", "issuedAt"],
  ["c", "clientIp"],
  ["p", "peerCidrs"],
  ["b", "maxBps"],
  ["a", "maxAllocations"],
  ["x", "trace"],
]);

const REQUIRED: readonly (keyof CredentialClaims)[] = ["tenant", "user"];

/** Claims whose values may be anything, as they come from outside. */
export type UncheckedClaims = { readonly [Name in keyof CredentialClaims]?: unknown };

/** Checks claims and brings addresses to their canonical form. Claims that are `undefined` count as absent. */
export function checkClaims(input: UncheckedClaims): ClaimsResult {
  const claims: { -readonly [Name in keyof CredentialClaims]?: unknown } = {};
  for (const name of WIRE_NAMES.values()) {
    const given = input[name];
    if (given === undefined && !REQUIRED.includes(name)) continue;
    const checked = CHECKS[name](given);
    if ("message" in checked) return { ok: false, problem: { claim: name, message: checked.message } };
    claims[name] = checked.value;
  }
  return { ok: true, claims: claims as CredentialClaims };
}

/** Writes checked claims as base64url of JSON with one-letter names. */
export function encodeClaims(claims: CredentialClaims): string {
  const wire: Record<string, unknown> = {};
  for (const [short, name] of WIRE_NAMES) {
    if (claims[name] !== undefined) wire[short] = claims[name];
  }
  return encodeBase64Url(utf8Encode(JSON.stringify(wire)));
}

/**
 * Reads what `encodeClaims` wrote. Strict: a claim that is unknown may be one that restricts, so it is refused along with
 * everything that is not canonical.
 *
 * @returns `undefined` when malformed
 */
export function decodeClaims(encoded: string): CredentialClaims | undefined {
  const bytes = decodeBase64Url(encoded);
  const json = bytes === undefined ? undefined : utf8Decode(bytes);
  if (json === undefined) return undefined;
  let wire: unknown;
  try {
    wire = JSON.parse(json);
  } catch {
    return undefined;
  }
  if (typeof wire !== "object" || wire === null || Array.isArray(wire)) return undefined;
  const named: { -readonly [Name in keyof CredentialClaims]?: unknown } = {};
  for (const [short, value] of Object.entries(wire)) {
    const name = WIRE_NAMES.get(short);
    if (name === undefined) return undefined;
    named[name] = value;
  }
  const result = checkClaims(named);
  return result.ok && encodeClaims(result.claims) === encoded ? result.claims : undefined;
}
