import type { AttributeType } from "./attribute-type.ts";
import { characters, utf8Decode, utf8DecodeLossy, utf8Length, utf8Write } from "./utf8.ts";
import { readU16, readU32, writeU16, writeU32 } from "./wire.ts";

export function outOfRange(name: string, what: string): RangeError {
  return new RangeError(`${name}: ${what}`);
}

export function requireInteger(name: string, value: number, max: number): void {
  if (!Number.isInteger(value) || value < 0 || value > max) throw outOfRange(name, `${value} is not 0 to ${max}`);
}

export function bytes(type: number, name: string, min = 0, max = 0xffff, step = 1): AttributeType<Uint8Array> {
  const fits = (length: number): boolean => length >= min && length <= max && length % step === 0;
  return {
    type,
    name,
    size(value) {
      if (!fits(value.length)) throw outOfRange(name, `${value.length} bytes, must be ${min} to ${max}`);
      return value.length;
    },
    write: (value, message, at) => message.set(value, at),
    read: (message, start, end) => (fits(end - start) ? message.subarray(start, end) : undefined),
  };
}

/** UTF-8 text of at most `max` bytes. */
export function text(type: number, name: string, max: number): AttributeType<string> {
  return {
    type,
    name,
    size(value) {
      const length = utf8Length(value);
      if (length > max) throw outOfRange(name, `${length} bytes of UTF-8, must be at most ${max}`);
      return length;
    },
    write: (value, message, at) => void utf8Write(value, message, at),
    read: (message, start, end) => (end - start <= max ? utf8Decode(message, start, end) : undefined),
  };
}

/** Text for people: what is not UTF-8 in it is replaced rather than refused. */
export function displayText(type: number, name: string, max: number): AttributeType<string> {
  return { ...text(type, name, max), read: (message, start, end) => utf8DecodeLossy(message, start, end) };
}

/** Opaque text, one character (U+0000 to U+00FF) for each byte, so that any bytes come back as they were. */
export function byteText(type: number, name: string, max: number): AttributeType<string> {
  return {
    type,
    name,
    size(value) {
      if (value.length > max) throw outOfRange(name, `${value.length} bytes, must be at most ${max}`);
      for (let i = 0; i < value.length; i++) {
        if (value.charCodeAt(i) > 0xff) throw outOfRange(name, "characters above U+00FF");
      }
      return value.length;
    },
    write(value, message, at) {
      for (let i = 0; i < value.length; i++) message[at + i] = value.charCodeAt(i);
    },
    read(message, start, end) {
      return end - start > max ? undefined : characters(message, start, end);
    },
  };
}

export function empty(type: number, name: string): AttributeType<true> {
  return {
    type,
    name,
    size: () => 0,
    write: () => {},
    read: (_message, start, end) => (start === end ? true : undefined),
  };
}

export function u32(type: number, name: string): AttributeType<number> {
  return {
    type,
    name,
    size(value) {
      requireInteger(name, value, 0xffffffff);
      return 4;
    },
    write: writeU32,
    read: (message, start, end) => (end - start === 4 ? readU32(message, start) : undefined),
  };
}

/** An unsigned number of 16 bits with 16 bits of padding after it; `bareAllowed` takes it without them, too. */
export function u16Padded(type: number, name: string, bareAllowed = false): AttributeType<number> {
  return {
    type,
    name,
    size(value) {
      requireInteger(name, value, 0xffff);
      return 4;
    },
    write: writeU16,
    read(message, start, end) {
      const length = end - start;
      return length === 4 || (bareAllowed && length === 2) ? readU16(message, start) : undefined;
    },
  };
}

/** An unsigned number of 8 bits with 24 reserved bits after it. */
export function u8Padded(type: number, name: string): AttributeType<number> {
  return {
    type,
    name,
    size(value) {
      requireInteger(name, value, 0xff);
      return 4;
    },
    write(value, message, at) {
      message[at] = value;
    },
    read: (message, start, end) => (end - start === 4 ? message[start] : undefined),
  };
}

export function u64(type: number, name: string): AttributeType<bigint> {
  return {
    type,
    name,
    size(value) {
      if (value < 0n || value > 0xffffffffffffffffn) throw outOfRange(name, `${value} is not of 64 bits`);
      return 8;
    },
    write(value, message, at) {
      writeU32(Number(value >> 32n), message, at);
      writeU32(Number(value & 0xffffffffn), message, at + 4);
    },
    read(message, start, end) {
      if (end - start !== 8) return undefined;
      return (BigInt(readU32(message, start)) << 32n) | BigInt(readU32(message, start + 4));
    },
  };
}

/** A list of 16-bit numbers. */
export function u16List(type: number, name: string): AttributeType<readonly number[]> {
  return {
    type,
    name,
    size(value) {
      for (const item of value) requireInteger(name, item, 0xffff);
      return value.length * 2;
    },
    write(value, message, at) {
      let next = at;
      for (const item of value) {
        writeU16(item, message, next);
        next += 2;
      }
    },
    read(message, start, end) {
      if ((end - start) % 2 !== 0) return undefined;
      const items: number[] = [];
      for (let at = start; at < end; at += 2) items.push(readU16(message, at));
      return items;
    },
  };
}
