import { isSessionId } from "./address.ts";
import { type RandomSource, randomId } from "./random.ts";

/** Keeps the keys away from the machine: HMAC over text, under keys that every replica has. */
export interface ResumeSigner {
  /** Signs with a current key of the tenant; undefined when it has none. */
  sign(tenant: string, text: string): { readonly kid: string; readonly mac: string } | undefined;
  /** Verifies in constant time; false also for an unknown key or one of another tenant. */
  verify(tenant: string, kid: string, text: string, mac: string): boolean;
}

export interface SessionOwner {
  readonly tenant: string;
  readonly user: string;
}

export interface ResumeToken {
  readonly session: string;
  readonly epoch: number;
  /** Milliseconds since the Unix epoch. */
  readonly expiresAt: number;
  readonly nonce: string;
  readonly kid: string;
  readonly mac: string;
}

const PREFIX = "r1";
const NUMBER = /^(?:0|[1-9]\d{0,15})$/;
const PLAIN = /^[A-Za-z0-9_-]{1,128}$/;

/** What is signed; the owner is in it without being in the token. */
function signedText(token: Omit<ResumeToken, "kid" | "mac">, owner: SessionOwner): string {
  return JSON.stringify([PREFIX, owner.tenant, owner.user, token.session, token.epoch, token.expiresAt, token.nonce]);
}

/** A token for exactly one use: `epoch` moves on with each. Undefined when the tenant has no key to sign with. */
export function mintResumeToken(
  claims: { readonly session: string; readonly epoch: number; readonly expiresAt: number },
  owner: SessionOwner,
  signer: ResumeSigner,
  random: RandomSource,
): string | undefined {
  const token = { ...claims, expiresAt: Math.floor(claims.expiresAt), nonce: randomId(random) };
  const signature = signer.sign(owner.tenant, signedText(token, owner));
  if (signature === undefined) return undefined;
  return [PREFIX, token.session, token.epoch, token.expiresAt, token.nonce, signature.kid, signature.mac].join(".");
}

/** Reads a token without trusting it. */
export function parseResumeToken(text: string): ResumeToken | undefined {
  const parts = text.split(".");
  const [prefix, session = "", epoch = "", expiresAt = "", nonce = "", kid = "", mac = ""] = parts;
  if (parts.length !== 7 || prefix !== PREFIX || !isSessionId(session)) return undefined;
  if (!NUMBER.test(epoch) || !NUMBER.test(expiresAt)) return undefined;
  if (!PLAIN.test(nonce) || !PLAIN.test(kid) || !PLAIN.test(mac)) return undefined;
  return { session, epoch: Number(epoch), expiresAt: Number(expiresAt), nonce, kid, mac };
}

/** Whether the token was signed for a session of `owner`. Says nothing about its age or epoch. */
export function verifyResumeToken(token: ResumeToken, owner: SessionOwner, signer: ResumeSigner): boolean {
  return signer.verify(owner.tenant, token.kid, signedText(token, owner), token.mac);
}
