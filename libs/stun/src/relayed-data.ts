import type { TransportAddress } from "./address.ts";
import { addressSize, readXorAddress, writeXorAddress } from "./address-codecs.ts";
import { isComprehensionRequired } from "./attribute-type.ts";
import { Attr } from "./attributes.ts";
import { HEADER_LENGTH, MAGIC_COOKIE, MessageClass, Method, messageType } from "./constants.ts";
import { computeFingerprint } from "./integrity.ts";
import { type Allocate, allocate, padded, readU16, readU32, writeU16, writeU32 } from "./wire.ts";

/** What a Send or a Data indication carries (RFC 8656 section 11). */
export interface RelayedData {
  readonly peer: TransportAddress;
  /** A view of the indication. */
  readonly data: Uint8Array;
  /** DONT-FRAGMENT is there. */
  readonly dontFragment: boolean;
}

const SEND_INDICATION = messageType(Method.Send, MessageClass.Indication);
const DATA_INDICATION = messageType(Method.Data, MessageClass.Indication);

const XOR_PEER_ADDRESS = Attr.XorPeerAddress.type;
const DATA = Attr.Data.type;
const DONT_FRAGMENT = Attr.DontFragment.type;
const FINGERPRINT = Attr.Fingerprint.type;

function readIndication(bytes: Uint8Array, type: number): RelayedData | undefined {
  const total = bytes.length;
  if (total < HEADER_LENGTH || readU16(bytes, 0) !== type || readU32(bytes, 4) !== MAGIC_COOKIE) return undefined;
  if (HEADER_LENGTH + readU16(bytes, 2) !== total) return undefined;

  let peer: TransportAddress | undefined;
  let data: Uint8Array | undefined;
  let dontFragment = false;
  for (let at = HEADER_LENGTH; at < total; ) {
    const start = at + 4;
    const length = readU16(bytes, at + 2);
    const next = start + padded(length);
    if (next > total) return undefined;
    const attribute = readU16(bytes, at);
    if (attribute === XOR_PEER_ADDRESS) {
      if (!peer) peer = readXorAddress(bytes, start, start + length);
      if (!peer) return undefined;
    } else if (attribute === DATA) {
      data ??= bytes.subarray(start, start + length);
    } else if (attribute === DONT_FRAGMENT) {
      if (length !== 0) return undefined;
      dontFragment = true;
    } else if (attribute === FINGERPRINT) {
      if (next !== total || length !== 4 || readU32(bytes, start) !== computeFingerprint(bytes, at)) return undefined;
    } else if (isComprehensionRequired(attribute)) {
      return undefined;
    }
    at = next;
  }
  return peer && data && { peer, data, dontFragment };
}

/**
 * Reads a plain Send indication without decoding a message. Undefined for everything else, which includes Send
 * indications with comprehension-required attributes other than XOR-PEER-ADDRESS, DATA and DONT-FRAGMENT: those need
 * `decodeMessage`.
 */
export function readSendIndication(bytes: Uint8Array): RelayedData | undefined {
  return readIndication(bytes, SEND_INDICATION);
}

/** Reads a plain Data indication without decoding a message. Undefined for everything else. */
export function readDataIndication(bytes: Uint8Array): RelayedData | undefined {
  return readIndication(bytes, DATA_INDICATION);
}

function writeIndication(
  type: number,
  peer: TransportAddress,
  data: Uint8Array,
  transactionId: Uint8Array,
  options: IndicationOptions & { dontFragment?: boolean | undefined },
): Uint8Array {
  const peerLength = addressSize(peer.ip);
  const length = 4 + peerLength + (options.dontFragment ? 4 : 0) + 4 + padded(data.length);
  if (length > 0xfffc || transactionId.length !== 12) {
    throw new RangeError(`indication: ${data.length} bytes of data, a transaction id of ${transactionId.length}`);
  }
  const message = allocate(HEADER_LENGTH + length, options.allocate);
  writeU16(type, message, 0);
  writeU16(length, message, 2);
  writeU32(MAGIC_COOKIE, message, 4);
  message.set(transactionId, 8);
  let at = HEADER_LENGTH;
  writeU16(XOR_PEER_ADDRESS, message, at);
  writeU16(peerLength, message, at + 2);
  if (!writeXorAddress(peer, message, at + 4)) throw new RangeError("indication: the peer is not an IP address");
  at += 4 + peerLength;
  if (options.dontFragment) {
    writeU32(DONT_FRAGMENT * 0x10000, message, at);
    at += 4;
  }
  writeU16(DATA, message, at);
  writeU16(data.length, message, at + 2);
  message.set(data, at + 4);
  message.fill(0, at + 4 + data.length);
  return message;
}

export interface IndicationOptions {
  /** Where the bytes come from; see `Allocate`. */
  readonly allocate?: Allocate | undefined;
}

/**
 * A Data indication with XOR-PEER-ADDRESS and DATA, made with one allocation.
 *
 * @throws RangeError when the transaction id has not 12 bytes, the peer is no IP address, or the data does not fit.
 */
export function writeDataIndication(
  peer: TransportAddress,
  data: Uint8Array,
  transactionId: Uint8Array,
  options: IndicationOptions = {},
): Uint8Array {
  return writeIndication(DATA_INDICATION, peer, data, transactionId, options);
}

/**
 * A Send indication with XOR-PEER-ADDRESS, DONT-FRAGMENT where asked for, and DATA, made with one allocation.
 *
 * @throws RangeError when the transaction id has not 12 bytes, the peer is no IP address, or the data does not fit.
 */
export function writeSendIndication(
  peer: TransportAddress,
  data: Uint8Array,
  transactionId: Uint8Array,
  options: IndicationOptions & { readonly dontFragment?: boolean | undefined } = {},
): Uint8Array {
  return writeIndication(SEND_INDICATION, peer, data, transactionId, options);
}
