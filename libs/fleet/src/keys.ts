import { type StunCrypto, utf8Encode } from "@culvert/stun";
import type { Millis } from "./types.ts";

/** HKDF (RFC 5869) with SHA-256. @param length at most 8,160 bytes */
export function hkdf(
  crypto: StunCrypto,
  secret: Uint8Array,
  { salt = "", info, length = 32 }: { readonly salt?: string; readonly info: string; readonly length?: number },
): Uint8Array {
  const pseudoRandomKey = crypto.hmacSha256(utf8Encode(salt), secret);
  const context = utf8Encode(info);
  const output = new Uint8Array(Math.ceil(length / 32) * 32);
  let block: Uint8Array = new Uint8Array(0);
  for (let counter = 1; (counter - 1) * 32 < length; counter++) {
    const input = new Uint8Array(block.length + context.length + 1);
    input.set(block, 0);
    input.set(context, block.length);
    input[input.length - 1] = counter;
    block = crypto.hmacSha256(pseudoRandomKey, input).slice();
    output.set(block, (counter - 1) * 32);
  }
  return output.slice(0, length);
}

const SALT = "culvert fleet v1";

/** What the secrets of a fleet are used for. No key tells anything about another. */
export type KeyPurpose = "nonce" | "mesh" | "ticket";

/** The key of a purpose under each secret, in the secrets' order: the first signs, all are accepted. */
export function fleetKeys(crypto: StunCrypto, secrets: readonly string[], purpose: KeyPurpose): readonly Uint8Array[] {
  return secrets.map((secret) => hkdf(crypto, utf8Encode(secret), { salt: SALT, info: purpose }));
}

/**
 * Keys for nonces at a moment of fleet time. They change each `rotationMs`, which is to be no less than the lifetime of a
 * nonce: the keys of the times before and after are accepted too, for nonces that live on and clocks that run ahead.
 */
export function nonceKeys(
  crypto: StunCrypto,
  secrets: readonly string[],
  { now, rotationMs }: { readonly now: Millis; readonly rotationMs: number },
): readonly Uint8Array[] {
  const period = Math.floor(now / rotationMs);
  const under = (secret: string, at: number): Uint8Array =>
    hkdf(crypto, utf8Encode(secret), { salt: SALT, info: `nonce ${at}` });
  return secrets.flatMap((secret) => [period, period - 1, period + 1].map((at) => under(secret, at)));
}

/** When {@link nonceKeys} are others: fleet time. */
export function nextRotation(now: Millis, rotationMs: number): Millis {
  return (Math.floor(now / rotationMs) + 1) * rotationMs;
}
