import { type Allocate, allocate, padded, readU16, writeU16 } from "./wire.ts";

/** Application data on a channel (RFC 8656 section 12.4). */
export interface ChannelData {
  /** 0x4000 to 0x7FFF. */
  readonly channel: number;
  readonly data: Uint8Array;
}

/** The first and the last channel number (RFC 8656 section 12). */
export const MIN_CHANNEL = 0x4000;
export const MAX_CHANNEL = 0x4fff;
/** The last channel number of RFC 5766 section 11. RFC 8656 reserves what is above `MAX_CHANNEL`. */
export const MAX_RFC5766_CHANNEL = 0x7fff;
/** Bytes before the application data. */
export const CHANNEL_HEADER_LENGTH = 4;

/** Whether a client may bind this channel number (RFC 8656 section 12). */
export function isChannelNumber(number: number): boolean {
  return Number.isInteger(number) && number >= MIN_CHANNEL && number <= MAX_CHANNEL;
}

/**
 * Whether a client of RFC 5766 may bind this channel number. ChannelData is read and written with all of them, so that
 * such clients can be served, and a stream of theirs stays in step.
 */
export function isRfc5766ChannelNumber(number: number): boolean {
  return Number.isInteger(number) && number >= MIN_CHANNEL && number <= MAX_RFC5766_CHANNEL;
}

/** Whether bytes begin as ChannelData does: with 0x40 to 0x7F, where STUN has two zero bits. */
export function beginsAsChannelData(bytes: Uint8Array): boolean {
  const first = bytes[0];
  return first !== undefined && first >= MIN_CHANNEL >> 8 && first <= MAX_RFC5766_CHANNEL >> 8;
}

/**
 * Decodes a ChannelData message. `data` is a view. Bytes after it (padding) are ignored. Undefined when the channel
 * number is none, or the length claims more than the datagram has.
 */
export function decodeChannelData(datagram: Uint8Array): ChannelData | undefined {
  if (datagram.length < CHANNEL_HEADER_LENGTH) return undefined;
  const channel = readU16(datagram, 0);
  if (!isRfc5766ChannelNumber(channel)) return undefined;
  const end = CHANNEL_HEADER_LENGTH + readU16(datagram, 2);
  return end > datagram.length ? undefined : { channel, data: datagram.subarray(CHANNEL_HEADER_LENGTH, end) };
}

/**
 * Encodes a ChannelData message. Over a stream it has to be `padded` to a multiple of four (RFC 8656 section 12.5);
 * padding is zero.
 *
 * @throws RangeError when the channel number is none, or the data is longer than 65535 bytes.
 */
export function encodeChannelData(
  channel: number,
  data: Uint8Array,
  options?: { readonly padded?: boolean | undefined; readonly allocate?: Allocate | undefined },
): Uint8Array {
  if (!isRfc5766ChannelNumber(channel)) throw new RangeError(`channel: ${channel} is not 0x4000 to 0x7FFF`);
  if (data.length > 0xffff) throw new RangeError(`channel data: ${data.length} bytes, must be at most 65535`);
  const length = options?.padded ? padded(data.length) : data.length;
  const message = allocate(CHANNEL_HEADER_LENGTH + length, options?.allocate);
  writeU16(channel, message, 0);
  writeU16(data.length, message, 2);
  message.set(data, CHANNEL_HEADER_LENGTH);
  message.fill(0, CHANNEL_HEADER_LENGTH + data.length);
  return message;
}
