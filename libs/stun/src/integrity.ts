import type { AttributeType } from "./attribute-type.ts";
import { Attr } from "./attributes.ts";
import { HEADER_LENGTH } from "./constants.ts";
import { crc32 } from "./crc32.ts";
import { type StunCrypto, timingSafeEqual } from "./crypto.ts";
import type { StunMessage } from "./message.ts";
import { readU16, writeU16 } from "./wire.ts";

export type IntegrityAlgorithm = "sha1" | "sha256";
export type IntegrityCheck = "valid" | "invalid" | "absent";

const FINGERPRINT_XOR = 0x5354554e;
/** RFC 3489 section 11.2.8 pads what it signs with zeros to a multiple of this. */
const LEGACY_BLOCK = 64;

export function integrityAttribute(algorithm: IntegrityAlgorithm): AttributeType<Uint8Array> {
  return algorithm === "sha1" ? Attr.MessageIntegrity : Attr.MessageIntegritySha256;
}

/**
 * The HMAC over a message up to `end`. The length field is taken as if the message ended with the integrity attribute,
 * whose value has `length` bytes.
 */
export function computeIntegrity(
  message: Uint8Array,
  end: number,
  length: number,
  options: { algorithm: IntegrityAlgorithm; key: Uint8Array; crypto: StunCrypto; legacy: boolean },
): Uint8Array {
  const claimed = end + 4 + length - HEADER_LENGTH;
  let signed = message.subarray(0, end);
  if (options.legacy) {
    signed = new Uint8Array(Math.ceil(end / LEGACY_BLOCK) * LEGACY_BLOCK);
    signed.set(message.subarray(0, end));
  } else if (readU16(message, 2) !== claimed) {
    // Not `slice`, which copies nothing of a Buffer.
    signed = new Uint8Array(message.subarray(0, end));
  }
  if (readU16(signed, 2) !== claimed) writeU16(claimed, signed, 2);
  return options.algorithm === "sha1"
    ? options.crypto.hmacSha1(options.key, signed)
    : options.crypto.hmacSha256(options.key, signed);
}

/**
 * Checks MESSAGE-INTEGRITY ("sha1", RFC 8489 section 14.5) or MESSAGE-INTEGRITY-SHA256 ("sha256", section 14.6, also
 * truncated to 16 bytes or more). An attribute of a wrong length is "invalid".
 */
export function checkIntegrity(
  message: StunMessage,
  algorithm: IntegrityAlgorithm,
  key: Uint8Array,
  crypto: StunCrypto,
): IntegrityCheck {
  const attribute = integrityAttribute(algorithm);
  const offset = message.offsetOf(attribute);
  if (offset === undefined) return "absent";
  const value = message.get(attribute);
  if (value === undefined) return "invalid";
  const { bytes, legacy } = message;
  const expected = computeIntegrity(bytes, offset, value.length, { algorithm, key, crypto, legacy });
  return timingSafeEqual(value, expected.subarray(0, value.length)) ? "valid" : "invalid";
}

/** The value of a FINGERPRINT attribute at `offset`: CRC-32 of what is before it, XORed (RFC 8489 section 14.7). */
export function computeFingerprint(message: Uint8Array, offset: number): number {
  return (crc32(message, 0, offset) ^ FINGERPRINT_XOR) >>> 0;
}

/** Checks FINGERPRINT (RFC 8489 section 14.7). One that is not the last attribute is "invalid". */
export function checkFingerprint(message: StunMessage): IntegrityCheck {
  const offset = message.offsetOf(Attr.Fingerprint);
  if (offset === undefined) return "absent";
  const isLast = offset + 8 === message.bytes.length;
  return isLast && message.get(Attr.Fingerprint) === computeFingerprint(message.bytes, offset) ? "valid" : "invalid";
}
