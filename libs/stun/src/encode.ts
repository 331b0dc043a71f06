import type { EncodedAttribute } from "./attribute-type.ts";
import { Attr } from "./attributes.ts";
import { HEADER_LENGTH, MAGIC_COOKIE, type MessageClass, messageType } from "./constants.ts";
import type { StunCrypto } from "./crypto.ts";
import { computeFingerprint, computeIntegrity, type IntegrityAlgorithm, integrityAttribute } from "./integrity.ts";
import { padded, writeU16, writeU32 } from "./wire.ts";

/** How to sign a message. */
export interface MessageIntegrity {
  readonly key: Uint8Array;
  readonly algorithm: IntegrityAlgorithm;
  readonly crypto: StunCrypto;
}

export interface MessageInit {
  /** 0 to 0xFFF; see `Method`. */
  readonly method: number;
  readonly class: MessageClass;
  /** 12 bytes, 16 when `legacy`. */
  readonly transactionId: Uint8Array;
  /** Write an RFC 3489 message, without the magic cookie. */
  readonly legacy?: boolean | undefined;
  readonly attributes?: readonly EncodedAttribute[] | undefined;
  /** One signature, or MESSAGE-INTEGRITY ("sha1") and MESSAGE-INTEGRITY-SHA256 ("sha256") in this order. */
  readonly integrity?: MessageIntegrity | readonly MessageIntegrity[] | undefined;
  /** End with FINGERPRINT. */
  readonly fingerprint?: boolean | undefined;
}

const MAX_BODY = 0xfffc;
const HMAC_LENGTH = { sha1: 20, sha256: 32 } as const;

function writeHeader(init: MessageInit, length: number, message: Uint8Array): void {
  writeU16(messageType(init.method, init.class), message, 0);
  writeU16(length, message, 2);
  if (!init.legacy) writeU32(MAGIC_COOKIE, message, 4);
  message.set(init.transactionId, init.legacy ? 4 : 8);
}

function writeAttributeHeader(type: number, length: number, message: Uint8Array, at: number): number {
  writeU16(type, message, at);
  writeU16(length, message, at + 2);
  return at + 4;
}

function integrities(init: MessageInit): readonly MessageIntegrity[] {
  if (init.integrity === undefined) return [];
  return "key" in init.integrity ? [init.integrity] : init.integrity;
}

/**
 * Encodes a message with one allocation. Padding is zero.
 *
 * @throws RangeError when the transaction id has a wrong length or the message does not fit its 16-bit length field.
 */
export function encodeMessage(init: MessageInit): Uint8Array {
  const idLength = init.legacy ? 16 : 12;
  if (init.transactionId.length !== idLength) {
    throw new RangeError(`transaction id: ${init.transactionId.length} bytes, must be ${idLength}`);
  }
  if (!Number.isInteger(init.method) || init.method < 0 || init.method > 0xfff) {
    throw new RangeError(`method: ${init.method} is not 0 to 4095`);
  }
  const attributes = init.attributes ?? [];
  const signatures = integrities(init);
  let length = init.fingerprint ? 8 : 0;
  for (const item of attributes) length += 4 + padded(item.length);
  for (const { algorithm } of signatures) length += 4 + HMAC_LENGTH[algorithm];
  if (length > MAX_BODY) throw new RangeError(`message: ${length} bytes of attributes, must be at most ${MAX_BODY}`);

  const message = new Uint8Array(HEADER_LENGTH + length);
  writeHeader(init, length, message);
  let at = HEADER_LENGTH;
  for (const item of attributes) {
    const start = writeAttributeHeader(item.type, item.length, message, at);
    item.write(message, start);
    at = start + padded(item.length);
  }
  for (const { key, algorithm, crypto } of signatures) {
    const size = HMAC_LENGTH[algorithm];
    // As the signature wants the length field, so that it need not be computed over a copy.
    writeU16(at + 4 + size - HEADER_LENGTH, message, 2);
    const legacy = init.legacy ?? false;
    const value = computeIntegrity(message, at, size, { algorithm, key, crypto, legacy });
    const start = writeAttributeHeader(integrityAttribute(algorithm).type, size, message, at);
    message.set(value, start);
    at = start + size;
  }
  writeU16(length, message, 2);
  if (init.fingerprint) {
    const value = computeFingerprint(message, at);
    writeU32(value, message, writeAttributeHeader(Attr.Fingerprint.type, 4, message, at));
  }
  return message;
}
