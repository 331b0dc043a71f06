import { type AttributeType, isComprehensionRequired } from "./attribute-type.ts";
import { Attr, attributeOfType } from "./attributes.ts";
import { classOf, HEADER_LENGTH, MAGIC_COOKIE, type MessageClass, methodOf } from "./constants.ts";
import { padded, readU16, readU32 } from "./wire.ts";

/** A decoded message. It is a view: it stays valid only while `bytes` is not changed. */
export interface StunMessage {
  /** 12 bits; see `Method`. */
  readonly method: number;
  readonly class: MessageClass;
  /** 12 bytes, or 16 when `legacy`. */
  readonly transactionId: Uint8Array;
  /** The magic cookie is missing: an RFC 3489 message. */
  readonly legacy: boolean;
  /** The whole message. */
  readonly bytes: Uint8Array;
  /** The types of the attributes that count, in their order, repeated ones once. */
  readonly types: readonly number[];
  /** Comprehension-required types that the library does not know: an answer with 420 is due. */
  readonly unknownRequired: readonly number[];
  /** Known types whose value does not parse: an answer with 400 is due where the attribute matters. */
  readonly malformed: readonly number[];
  /** The value of the first attribute of this type. Undefined when there is none, or it is malformed. */
  get<T>(attribute: AttributeType<T>): T | undefined;
  /** The values of all attributes of this type that are well-formed. */
  getAll<T>(attribute: AttributeType<T>): readonly T[];
  /** Whether the attribute is there, malformed or not. */
  has(attribute: AttributeType<unknown>): boolean;
  /** Where the first attribute of this type begins (its type field) in `bytes`. */
  offsetOf(attribute: AttributeType<unknown>): number | undefined;
  /** Comprehension-required types that are not in `understood`, for a server that implements less than the table. */
  unknownAmong(understood: ReadonlySet<number>): readonly number[];
}

/**
 * Why bytes are not a STUN message:
 * - `too-short`: fewer than 20 bytes
 * - `not-stun`: the first two bits are not zero
 * - `bad-length`: the length field is not a multiple of four
 * - `truncated`: the length field claims more than there is
 * - `trailing-bytes`: there is more than the length field claims
 * - `attribute-overrun`: an attribute reaches beyond the message
 */
export type DecodeError =
  | "too-short"
  | "not-stun"
  | "bad-length"
  | "truncated"
  | "trailing-bytes"
  | "attribute-overrun";

export type DecodeResult =
  | { readonly ok: true; readonly message: StunMessage }
  | { readonly ok: false; readonly reason: DecodeError };

/** What may still follow: each of these closes the message to all types but the ones after it in the list. */
const CLOSING: readonly number[] = [
  Attr.MessageIntegrity.type,
  Attr.MessageIntegritySha256.type,
  Attr.Fingerprint.type,
];

class DecodedMessage implements StunMessage {
  readonly bytes: Uint8Array;
  readonly method: number;
  readonly class: MessageClass;
  readonly legacy: boolean;
  /** Offsets of the attributes that count. */
  readonly #offsets: readonly number[];

  constructor(bytes: Uint8Array, offsets: readonly number[]) {
    const type = readU16(bytes, 0);
    this.bytes = bytes;
    this.method = methodOf(type);
    this.class = classOf(type);
    this.legacy = readU32(bytes, 4) !== MAGIC_COOKIE;
    this.#offsets = offsets;
  }

  get transactionId(): Uint8Array {
    return this.bytes.subarray(this.legacy ? 4 : 8, HEADER_LENGTH);
  }

  get types(): readonly number[] {
    return this.#select(() => true);
  }

  get unknownRequired(): readonly number[] {
    return this.#select((type) => isComprehensionRequired(type) && !attributeOfType(type));
  }

  get malformed(): readonly number[] {
    return this.#select((type, offset) => {
      const known = attributeOfType(type);
      return known !== undefined && this.#read(known, offset) === undefined;
    });
  }

  get<T>(attribute: AttributeType<T>): T | undefined {
    const offset = this.offsetOf(attribute);
    return offset === undefined ? undefined : this.#read(attribute, offset);
  }

  getAll<T>(attribute: AttributeType<T>): readonly T[] {
    const values: T[] = [];
    for (const offset of this.#offsets) {
      if (readU16(this.bytes, offset) !== attribute.type) continue;
      const value = this.#read(attribute, offset);
      if (value !== undefined) values.push(value);
    }
    return values;
  }

  has(attribute: AttributeType<unknown>): boolean {
    return this.offsetOf(attribute) !== undefined;
  }

  offsetOf(attribute: AttributeType<unknown>): number | undefined {
    for (const offset of this.#offsets) if (readU16(this.bytes, offset) === attribute.type) return offset;
    return undefined;
  }

  unknownAmong(understood: ReadonlySet<number>): readonly number[] {
    return this.#select((type) => isComprehensionRequired(type) && !understood.has(type));
  }

  /** Types of the first attributes of their type that `wanted` is true for. */
  #select(wanted: (type: number, offset: number) => boolean): number[] {
    const seen = new Set<number>();
    const selected: number[] = [];
    for (const offset of this.#offsets) {
      const type = readU16(this.bytes, offset);
      if (seen.has(type)) continue;
      seen.add(type);
      if (wanted(type, offset)) selected.push(type);
    }
    return selected;
  }

  #read<T>(attribute: AttributeType<T>, offset: number): T | undefined {
    const start = offset + 4;
    return attribute.read(this.bytes, start, start + readU16(this.bytes, offset + 2));
  }
}

/**
 * Decodes the STUN message that `bytes` is, from its first to its last byte. Never throws and copies nothing.
 *
 * Nothing counts after MESSAGE-INTEGRITY but MESSAGE-INTEGRITY-SHA256 and FINGERPRINT, nothing after
 * MESSAGE-INTEGRITY-SHA256 but FINGERPRINT, and nothing after FINGERPRINT (RFC 8489 sections 14.5 to 14.7).
 */
export function decodeMessage(bytes: Uint8Array): DecodeResult {
  if (bytes.length < HEADER_LENGTH) return { ok: false, reason: "too-short" };
  if (((bytes[0] ?? 0) & 0xc0) !== 0) return { ok: false, reason: "not-stun" };
  const length = readU16(bytes, 2);
  if (length % 4 !== 0) return { ok: false, reason: "bad-length" };
  const end = HEADER_LENGTH + length;
  if (end > bytes.length) return { ok: false, reason: "truncated" };
  if (end < bytes.length) return { ok: false, reason: "trailing-bytes" };

  const offsets: number[] = [];
  let closed = -1;
  for (let at = HEADER_LENGTH; at < end; ) {
    const next = at + 4 + padded(readU16(bytes, at + 2));
    if (next > end) return { ok: false, reason: "attribute-overrun" };
    const rank = CLOSING.indexOf(readU16(bytes, at));
    if (rank > closed || closed < 0) offsets.push(at);
    if (rank > closed) closed = rank;
    at = next;
  }
  return { ok: true, message: new DecodedMessage(bytes, offsets) };
}
