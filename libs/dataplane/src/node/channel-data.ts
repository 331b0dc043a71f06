import { CHANNEL_HEADER_LENGTH } from "@culvert/stun";

/**
 * Frames ChannelData (RFC 8656 section 12.4), padded to a multiple of four where the transport is a stream (12.5). Takes
 * its memory from Buffer's pool, which makes it the faster one for the hot path.
 */
export function frameChannelData(channel: number, data: Uint8Array, padded: boolean): Buffer {
  const end = CHANNEL_HEADER_LENGTH + data.length;
  const bytes = Buffer.allocUnsafe(padded ? (end + 3) & ~3 : end);
  bytes.writeUInt16BE(channel, 0);
  bytes.writeUInt16BE(data.length, 2);
  bytes.set(data, CHANNEL_HEADER_LENGTH);
  if (end < bytes.length) bytes.fill(0, end);
  return bytes;
}
