import { randomFillSync } from "node:crypto";
import {
  decodeChannelData,
  encodeChannelData,
  HEADER_LENGTH,
  MAGIC_COOKIE,
  MessageClass,
  Method,
  messageType,
  writeDataIndication,
} from "@culvert/stun";
import type { DropReason } from "../port.ts";

const POOLED = { allocate: Buffer.allocUnsafe } as const;
const PADDED = { ...POOLED, padded: true } as const;

const SEND_INDICATION = messageType(Method.Send, MessageClass.Indication);
const DATA_INDICATION = messageType(Method.Data, MessageClass.Indication);
const BINDING_REQUEST = messageType(Method.Binding, MessageClass.Request);

/** Whether a datagram, or a frame, has the shape of a STUN message; RFC 3489's have no magic cookie. */
export const isStun = (bytes: Buffer): boolean =>
  bytes.length >= HEADER_LENGTH &&
  bytes.readUInt16BE(2) === bytes.length - HEADER_LENGTH &&
  (bytes.length & 3) === 0 &&
  bytes.readUInt8(0) <= 3;

/** `bytes` are to be STUN by `isStun`. */
export const isSendIndication = (bytes: Buffer): boolean =>
  bytes.readUInt16BE(0) === SEND_INDICATION && bytes.readUInt32BE(4) === MAGIC_COOKIE;

/** Of a message that may be of any shape. */
export const isDataIndication = (bytes: Buffer): boolean =>
  bytes.length >= HEADER_LENGTH && bytes.readUInt16BE(0) === DATA_INDICATION;

/** Of a message that a data plane cannot answer. */
export const isBindingRequest = (bytes: Buffer): boolean => bytes.readUInt16BE(0) === BINDING_REQUEST;

/** For a listener that only serves STUN: why a message is dropped; undefined when it goes up. */
export function stunOnly(bytes: Buffer): DropReason | undefined {
  if (isStun(bytes)) return undefined;
  return decodeChannelData(bytes) === undefined ? "malformed" : "no-channel";
}

/** The most that fits into a Data indication with an IPv6 address: its length field counts 65,532 bytes at most. */
const MAX_DATA = 0xfffc - 24 - 4;

const ID_LENGTH = 12;
const ids = Buffer.alloc(ID_LENGTH * 512);
let nextId = ids.length;

/** Unique and random (RFC 8489 section 5). The bytes are good until the next call. */
function transactionId(): Uint8Array {
  if (nextId === ids.length) {
    randomFillSync(ids);
    nextId = 0;
  }
  nextId += ID_LENGTH;
  return ids.subarray(nextId - ID_LENGTH, nextId);
}

/** A Data indication (RFC 8656 section 11.3); undefined when the data does not fit. */
export function dataIndication(ip: string, port: number, data: Uint8Array): Uint8Array | undefined {
  return data.length > MAX_DATA ? undefined : writeDataIndication({ ip, port }, data, transactionId(), POOLED);
}

/** ChannelData, padded where it goes over a stream (RFC 8656 section 12.5). */
export function channelData(channel: number, data: Uint8Array, stream: boolean): Uint8Array {
  return encodeChannelData(channel, data, stream ? PADDED : POOLED);
}
