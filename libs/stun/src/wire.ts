/** Big-endian integers at a byte offset. The caller has checked the bounds. */

export function readU16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

export function readU32(bytes: Uint8Array, at: number): number {
  return ((readU16(bytes, at) << 16) | readU16(bytes, at + 2)) >>> 0;
}

export function writeU16(value: number, out: Uint8Array, at: number): void {
  out[at] = value >>> 8;
  out[at + 1] = value;
}

export function writeU32(value: number, out: Uint8Array, at: number): void {
  writeU16(value >>> 16, out, at);
  writeU16(value & 0xffff, out, at + 2);
}

/** `length` rounded up to a multiple of four. */
export function padded(length: number): number {
  return (length + 3) & ~3;
}

/**
 * Gives `size` bytes with any content, from a pool for instance: every one of them is written. It saves most of the time
 * that a message of the data path takes.
 */
export type Allocate = (size: number) => Uint8Array;

export function allocate(size: number, from: Allocate | undefined): Uint8Array {
  return from ? from(size) : new Uint8Array(size);
}
