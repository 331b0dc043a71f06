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
  /** Those of `malformed` that are comprehension-required. */
  readonly malformedRequired: readonly number[];
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

/** In the place of a value that does not parse. */
const MALFORMED: unique symbol = Symbol("malformed");
const FEW = 32;

class DecodedMessage implements StunMessage {
  readonly bytes: Uint8Array;
  readonly method: number;
  readonly class: MessageClass;
  readonly legacy: boolean;
  /** Offsets of the attributes that count. */
  readonly #offsets: readonly number[];
  /** Values that were read as their known type has them, by the index of their offset. */
  readonly #values: unknown[] = [];
  #transactionId: Uint8Array | undefined;

  constructor(bytes: Uint8Array, offsets: readonly number[]) {
    const type = readU16(bytes, 0);
    this.bytes = bytes;
    this.method = methodOf(type);
    this.class = classOf(type);
    this.legacy = readU32(bytes, 4) !== MAGIC_COOKIE;
    this.#offsets = offsets;
  }

  get transactionId(): Uint8Array {
    this.#transactionId ??= this.bytes.subarray(this.legacy ? 4 : 8, HEADER_LENGTH);
    return this.#transactionId;
  }

  get types(): readonly number[] {
    return this.#select(() => true);
  }

  get unknownRequired(): readonly number[] {
    return this.#select((type) => isComprehensionRequired(type) && !attributeOfType(type));
  }

  get malformed(): readonly number[] {
    return this.#select((type, index) => this.#isMalformed(type, index));
  }

  get malformedRequired(): readonly number[] {
    return this.#select((type, index) => isComprehensionRequired(type) && this.#isMalformed(type, index));
  }

  get<T>(attribute: AttributeType<T>): T | undefined {
    const index = this.#indexOf(attribute.type);
    return index < 0 ? undefined : this.#read(attribute, index);
  }

  getAll<T>(attribute: AttributeType<T>): readonly T[] {
    const values: T[] = [];
    for (let index = 0; index < this.#offsets.length; index++) {
      if (this.#typeAt(index) !== attribute.type) continue;
      const value = this.#read(attribute, index);
      if (value !== undefined) values.push(value);
    }
    return values;
  }

  has(attribute: AttributeType<unknown>): boolean {
    return this.#indexOf(attribute.type) >= 0;
  }

  offsetOf(attribute: AttributeType<unknown>): number | undefined {
    return this.#offsets[this.#indexOf(attribute.type)];
  }

  unknownAmong(understood: ReadonlySet<number>): readonly number[] {
    return this.#select((type) => isComprehensionRequired(type) && !understood.has(type));
  }

  /** Types of the first attributes of their type that `wanted` is true for. */
  #select(wanted: (type: number, index: number) => boolean): number[] {
    const { length } = this.#offsets;
    // Looking for an earlier one of its type takes less than a set, unless there are many.
    const seen = length > FEW ? new Set<number>() : undefined;
    const selected: number[] = [];
    for (let index = 0; index < length; index++) {
      const type = this.#typeAt(index);
      if (seen === undefined ? this.#indexOf(type) < index : seen.has(type)) continue;
      seen?.add(type);
      if (wanted(type, index)) selected.push(type);
    }
    return selected;
  }

  #isMalformed(type: number, index: number): boolean {
    const known = attributeOfType(type);
    return known !== undefined && this.#read(known, index) === undefined;
  }

  #typeAt(index: number): number {
    return readU16(this.bytes, this.#offsets[index] ?? 0);
  }

  /** Of the first attribute of the type; -1 when there is none. */
  #indexOf(type: number): number {
    for (let index = 0; index < this.#offsets.length; index++) if (this.#typeAt(index) === type) return index;
    return -1;
  }

  #read<T>(attribute: AttributeType<T>, index: number): T | undefined {
    const known = attributeOfType(attribute.type) === attribute;
    const before = known ? this.#values[index] : undefined;
    if (before !== undefined) return before === MALFORMED ? undefined : (before as T);
    const offset = this.#offsets[index] ?? 0;
    const start = offset + 4;
    const value = attribute.read(this.bytes, start, start + readU16(this.bytes, offset + 2));
    if (known) this.#values[index] = value ?? MALFORMED;
    return value;
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
