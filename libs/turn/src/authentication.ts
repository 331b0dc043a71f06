import {
  Attr,
  attribute,
  canonicalIp,
  checkIntegrity,
  type EncodedAttribute,
  ErrorCode,
  type IntegrityAlgorithm,
  type PasswordAlgorithm,
  PasswordAlgorithmId,
  parseNonceCookie,
  type StunMessage,
} from "@culvert/stun";
import type { CredentialQuery, KnownCredential, RejectedCredential } from "./authenticator.ts";
import type { Core } from "./core.ts";
import type { AuthFailure, Question } from "./outputs.ts";
import type { Identity, Request } from "./request.ts";

export type AuthResult =
  | { readonly kind: "authenticated"; readonly identity: Identity }
  | { readonly kind: "ask"; readonly question: Question & { readonly kind: "credential" } }
  /** Too many wrong passwords. It is not told whether this one is right. */
  | { readonly kind: "throttled" }
  | AuthRefusal;

export interface AuthRefusal {
  readonly kind: "refused";
  readonly code: number;
  readonly reason: AuthFailure;
  /** What the authenticator said. */
  readonly detail?: string;
  /** Known where the password was right. */
  readonly identity?: Identity;
}

type KeyAlgorithm = "md5" | "sha256";

const ALGORITHM_IDS: Readonly<Record<KeyAlgorithm, number>> = {
  md5: PasswordAlgorithmId.Md5,
  sha256: PasswordAlgorithmId.Sha256,
};

const SHA256_LENGTH = 32;

/**
 * The long-term credential mechanism (RFC 8489 section 9.2.4), in the RFC's order of checks. `answer` is the resolution
 * that came in for the question that an earlier call asked.
 */
export function authenticate(core: Core, request: Request, answer?: KnownCredential | RejectedCredential): AuthResult {
  const { message, client, now } = request;
  const integrity = integrityOf(message);
  if (integrity === undefined) return refused(ErrorCode.Unauthenticated, "no-integrity");

  const username = message.get(Attr.Username);
  const userHash = message.get(Attr.UserHash);
  const realm = message.get(Attr.Realm);
  const nonce = message.get(Attr.Nonce);
  const named = (username === undefined) !== (userHash === undefined);
  if (!named || realm === undefined || nonce === undefined) return refused(ErrorCode.BadRequest, "incomplete");

  const keyAlgorithm = keyAlgorithmOf(core, message, nonce);
  if (keyAlgorithm === undefined) return refused(ErrorCode.BadRequest, "bid-down");
  if (!core.nonces.check(nonce, client.remote, now)) return refused(ErrorCode.StaleNonce, "stale-nonce");
  if (realm !== core.config.realm) return refused(ErrorCode.Unauthenticated, "wrong-realm");

  const query: CredentialQuery | undefined =
    username !== undefined
      ? { username, realm, nowMs: now }
      : userHash !== undefined && core.authenticator.supportsUserHash === true
        ? { userHash, realm, nowMs: now }
        : undefined;
  if (query === undefined) return refused(ErrorCode.Unauthenticated, "rejected", "user-hash");
  const resolution = answer ?? core.authenticator.resolve(query);
  if (resolution.kind === "ask") return { kind: "ask", question: questionOf(query) };
  if (resolution.kind === "rejected") return refused(ErrorCode.Unauthenticated, "rejected", resolution.reason);
  if (resolution.expiresAt !== undefined && resolution.expiresAt <= now) {
    return refused(ErrorCode.Unauthenticated, "rejected", "expired");
  }
  const name = username ?? resolution.username;
  if (name === undefined) return refused(ErrorCode.Unauthenticated, "rejected", "user-hash");
  const isOwner = core.allocations.get(client)?.username === name;
  if (!isOwner && core.guesses.exhausted(client.remote.ip, name, now)) return { kind: "throttled" };
  return verify(core, request, resolution, { username: name, integrity, keyAlgorithm });
}

/** What a refusal tells beside its code: how to do better (RFC 8489 section 9.2.4). */
export function challenge(core: Core, request: Request, code: number): readonly EncodedAttribute[] {
  if (code !== ErrorCode.Unauthenticated && code !== ErrorCode.StaleNonce) return [];
  const algorithms = announced(core);
  return [
    attribute(Attr.Realm, core.config.realm),
    attribute(Attr.Nonce, core.nonces.make(request.client.remote, request.now)),
    ...(algorithms.length === 0 ? [] : [attribute(Attr.PasswordAlgorithms, algorithms)]),
  ];
}

function verify(
  core: Core,
  request: Request,
  credential: KnownCredential,
  proof: { username: string; integrity: IntegrityAlgorithm; keyAlgorithm: KeyAlgorithm },
): AuthResult {
  const { username, integrity, keyAlgorithm } = proof;
  const { claims } = credential;
  for (const { password, kid = claims.kid } of credential.candidates) {
    const key = core.keys.of(username, password, keyAlgorithm);
    if (checkIntegrity(request.message, integrity, key, core.crypto) !== "valid") continue;
    core.keys.remember(username, password, keyAlgorithm, key);
    const owner = { tenant: claims.tenant, user: claims.user === "" ? username : claims.user, kid };
    const identity: Identity = { owner, username, claims, key, algorithm: integrity };
    if (claims.clientIp !== undefined && canonicalIp(claims.clientIp) !== request.client.remote.ip) {
      return { kind: "refused", code: ErrorCode.Forbidden, reason: "client-address", identity };
    }
    return { kind: "authenticated", identity };
  }
  core.guesses.wrong(request.client.remote.ip, username, request.now);
  return refused(ErrorCode.Unauthenticated, "wrong-password");
}

/** The stronger one counts where both are there. A shortened HMAC is none: TURN does not allow it (section 14.6). */
function integrityOf(message: StunMessage): IntegrityAlgorithm | undefined {
  if (message.has(Attr.MessageIntegritySha256)) {
    return message.get(Attr.MessageIntegritySha256)?.length === SHA256_LENGTH ? "sha256" : undefined;
  }
  return message.has(Attr.MessageIntegrity) ? "sha1" : undefined;
}

/** Undefined where somebody on the way has tampered with the algorithms (bid-down), or the one named is switched off. */
function keyAlgorithmOf(core: Core, message: StunMessage, nonce: string): KeyAlgorithm | undefined {
  const { passwordAlgorithms } = core.config;
  const unnamed = passwordAlgorithms.length === 0 || passwordAlgorithms.includes("md5") ? "md5" : undefined;
  if (parseNonceCookie(nonce)?.passwordAlgorithms !== true) return unnamed;
  if (!message.has(Attr.PasswordAlgorithms) && !message.has(Attr.PasswordAlgorithm)) return unnamed;
  const list = message.get(Attr.PasswordAlgorithms);
  const choice = message.get(Attr.PasswordAlgorithm);
  if (list === undefined || choice === undefined || choice.parameters.length > 0) return undefined;
  const sent = announced(core);
  const unaltered =
    list.length === sent.length &&
    list.every((item, index) => item.algorithm === sent[index]?.algorithm && item.parameters.length === 0);
  if (!unaltered) return undefined;
  return passwordAlgorithms.find((name) => ALGORITHM_IDS[name] === choice.algorithm);
}

function announced(core: Core): readonly PasswordAlgorithm[] {
  return core.config.passwordAlgorithms.map((name) => ({
    algorithm: ALGORITHM_IDS[name],
    parameters: new Uint8Array(0),
  }));
}

function questionOf(query: CredentialQuery): Question & { readonly kind: "credential" } {
  return query.username === undefined
    ? { kind: "credential", realm: query.realm, userHash: query.userHash }
    : { kind: "credential", realm: query.realm, username: query.username };
}

function refused(code: number, reason: AuthFailure, detail?: string): AuthRefusal {
  return { kind: "refused", code, reason, ...(detail === undefined ? {} : { detail }) };
}
