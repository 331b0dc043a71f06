/**
 * How the value of one attribute is written and read. `message` is always the whole message, its header at offset 0:
 * the XOR- attributes need the magic cookie and the transaction id.
 */
export interface AttributeType<T> {
  /** 0x0000 to 0x7FFF comprehension-required, 0x8000 to 0xFFFF comprehension-optional. */
  readonly type: number;
  /** The name in IANA's registry. */
  readonly name: string;
  /**
   * Bytes of the value without padding.
   *
   * @throws RangeError when the value cannot be encoded.
   */
  size(value: T): number;
  /** Writes exactly `size(value)` bytes at `at`. */
  write(value: T, message: Uint8Array, at: number): void;
  /** Reads the value in [start, end). Undefined when it is malformed. Byte values are views, not copies. */
  read(message: Uint8Array, start: number, end: number): T | undefined;
}

/** An attribute with its value, ready to go into a message. */
export interface EncodedAttribute {
  readonly type: number;
  /** Bytes of the value without padding. */
  readonly length: number;
  write(message: Uint8Array, at: number): void;
}

/**
 * An attribute for `encodeMessage`.
 *
 * @throws RangeError when the value is out of the range that the attribute can carry.
 */
export function attribute<T>(type: AttributeType<T>, value: T): EncodedAttribute {
  const length = type.size(value);
  return { type: type.type, length, write: (message, at) => type.write(value, message, at) };
}

/** An attribute with an opaque value: one that the table does not have, or one that is to be malformed. */
export function rawAttribute(type: number, value: Uint8Array): EncodedAttribute {
  return { type, length: value.length, write: (message, at) => message.set(value, at) };
}

/** Whether an agent that does not know the type must refuse the message (RFC 8489 section 14). */
export function isComprehensionRequired(type: number): boolean {
  return type < 0x8000;
}
