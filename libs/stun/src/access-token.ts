import { readU16, readU32, writeU16, writeU32 } from "./wire.ts";

/** The value of ACCESS-TOKEN (RFC 7635 section 6.2): what only the authorization server and the relay can open. */
export interface SealedToken {
  /** The nonce of the AEAD, as long as its algorithm wants it. */
  readonly nonce: Uint8Array;
  /** `TokenBlock`, encrypted and authenticated. */
  readonly encrypted: Uint8Array;
}

/** What is inside a `SealedToken`. */
export interface TokenBlock {
  /** The key of the session's MESSAGE-INTEGRITY. */
  readonly macKey: Uint8Array;
  /** When the token was made: Unix time in units of 1/64000 s, the seconds being the upper 48 bits of 64. */
  readonly timestamp: { readonly seconds: number; readonly fraction: number };
  /** Seconds that the token is valid from `timestamp` on. */
  readonly lifetime: number;
}

const MAX_SECONDS = 2 ** 48 - 1;

/** Splits the value of ACCESS-TOKEN. The parts are views. Undefined when the nonce reaches beyond it. */
export function parseSealedToken(value: Uint8Array): SealedToken | undefined {
  if (value.length < 2) return undefined;
  const end = 2 + readU16(value, 0);
  if (end > value.length) return undefined;
  return { nonce: value.subarray(2, end), encrypted: value.subarray(end) };
}

/**
 * The value of ACCESS-TOKEN.
 *
 * @throws RangeError when the nonce is longer than 65535 bytes.
 */
export function encodeSealedToken(token: SealedToken): Uint8Array {
  if (token.nonce.length > 0xffff) throw new RangeError(`nonce: ${token.nonce.length} bytes, must be at most 65535`);
  const value = new Uint8Array(2 + token.nonce.length + token.encrypted.length);
  writeU16(token.nonce.length, value, 0);
  value.set(token.nonce, 2);
  value.set(token.encrypted, 2 + token.nonce.length);
  return value;
}

/** Reads a decrypted token. Undefined when its length is not what it says. */
export function parseTokenBlock(plain: Uint8Array): TokenBlock | undefined {
  if (plain.length < 2) return undefined;
  const end = 2 + readU16(plain, 0);
  if (end + 12 !== plain.length) return undefined;
  return {
    macKey: plain.subarray(2, end),
    timestamp: { seconds: readU32(plain, end) * 0x10000 + readU16(plain, end + 4), fraction: readU16(plain, end + 6) },
    lifetime: readU32(plain, end + 8),
  };
}

/**
 * A token to encrypt.
 *
 * @throws RangeError when a number does not fit its field.
 */
export function encodeTokenBlock(block: TokenBlock): Uint8Array {
  const { macKey, timestamp, lifetime } = block;
  const { seconds, fraction } = timestamp;
  const fits = (value: number, max: number): boolean => Number.isInteger(value) && value >= 0 && value <= max;
  if (
    !fits(macKey.length, 0xffff) ||
    !fits(seconds, MAX_SECONDS) ||
    !fits(fraction, 0xffff) ||
    !fits(lifetime, 0xffffffff)
  ) {
    throw new RangeError("token: a number does not fit its field");
  }
  const plain = new Uint8Array(2 + macKey.length + 12);
  writeU16(macKey.length, plain, 0);
  plain.set(macKey, 2);
  const at = 2 + macKey.length;
  writeU32(Math.floor(seconds / 0x10000), plain, at);
  writeU16(seconds % 0x10000, plain, at + 4);
  writeU16(fraction, plain, at + 6);
  writeU32(lifetime, plain, at + 8);
  return plain;
}
