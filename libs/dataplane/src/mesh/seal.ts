import { createCipheriv, createDecipheriv, type KeyObject } from "node:crypto";
import type { SealKey } from "./keys.ts";

/** The first byte: outside of what STUN, ChannelData, DTLS and RTP begin with (RFC 7983 section 7). */
const VERSION = 0xc1;
const HEADER_LENGTH = 16;
const TAG_LENGTH = 16;
/** How much of its instance names the sender. */
const SENDER_LENGTH = 5;
const SENDER_AT = 3;
const COUNTER_AT = 8;
const ALGORITHM = "aes-256-gcm";

/** What stands before the sealed part: who has sealed it with what, in the clear but authenticated. */
export interface SealHeader {
  readonly keyId: number;
  /** Counters are each worker's own. */
  readonly worker: number;
  /** See `senderName`. */
  readonly sender: string;
  readonly counter: bigint;
}

/** How a sender is named in what it seals. */
export const senderName = (instance: Buffer): string => instance.toString("latin1", 0, SENDER_LENGTH);

/**
 * Seals one datagram for one receiver: nobody else opens it, the sender neither.
 *
 * `worker` and `counter` are the nonce: never twice the same ones with a key.
 */
export function seal(
  { id, key }: SealKey,
  parties: { readonly sender: Buffer; readonly receiver: Buffer },
  nonce: { readonly worker: number; readonly counter: bigint },
  parts: readonly Uint8Array[],
): Buffer {
  const header = Buffer.allocUnsafe(HEADER_LENGTH);
  header.writeUInt8(VERSION, 0);
  header.writeUInt8(id, 1);
  header.writeUInt8(nonce.worker, 2);
  parties.sender.copy(header, SENDER_AT, 0, SENDER_LENGTH);
  header.writeBigUInt64BE(nonce.counter, COUNTER_AT);
  const cipher = createCipheriv(ALGORITHM, key, nonceOf(header));
  cipher.setAAD(Buffer.concat([header, parties.receiver]));
  const sealed = parts.map((part) => cipher.update(part));
  cipher.final();
  return Buffer.concat([header, ...sealed, cipher.getAuthTag()]);
}

/** Undefined for what is not of this version, or too short to hold anything. */
export function readSealHeader(datagram: Buffer): SealHeader | undefined {
  if (datagram.length <= HEADER_LENGTH + TAG_LENGTH || datagram.readUInt8(0) !== VERSION) return undefined;
  return {
    keyId: datagram.readUInt8(1),
    worker: datagram.readUInt8(2),
    sender: datagram.toString("latin1", SENDER_AT, COUNTER_AT),
    counter: datagram.readBigUInt64BE(COUNTER_AT),
  };
}

/** What was sealed; undefined when it was not with this key, or not for this receiver. `datagram` is to have a header. */
export function open(key: KeyObject, receiver: Buffer, datagram: Buffer): Buffer | undefined {
  const header = datagram.subarray(0, HEADER_LENGTH);
  const end = datagram.length - TAG_LENGTH;
  const decipher = createDecipheriv(ALGORITHM, key, nonceOf(header));
  decipher.setAAD(Buffer.concat([header, receiver]));
  decipher.setAuthTag(datagram.subarray(end));
  const frame = decipher.update(datagram.subarray(HEADER_LENGTH, end));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return frame;
}

/** The worker in four bytes, then the counter. */
function nonceOf(header: Buffer): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt8(header.readUInt8(2), 3);
  header.copy(nonce, 4, COUNTER_AT, HEADER_LENGTH);
  return nonce;
}

/** Where a sender's counters begin: above all that it may have used in an earlier life, if its clock did not step back. */
export const firstCounter = (epochMs: number): bigint => BigInt(epochMs) << 20n;
