import type { AddressFamily } from "./address.ts";
import { familyFromNumber, familyNumber } from "./address-codecs.ts";
import type { AttributeType } from "./attribute-type.ts";
import { outOfRange, requireInteger } from "./codecs.ts";
import { utf8DecodeLossy, utf8Length, utf8Write } from "./utf8.ts";
import { padded, readU16, readU32, writeU16, writeU32 } from "./wire.ts";

/** ERROR-CODE (RFC 8489 section 14.8). */
export interface ErrorCodeValue {
  /** 300 to 699. */
  readonly code: number;
  /** At most 763 bytes of UTF-8. */
  readonly reason: string;
}

/** ADDRESS-ERROR-CODE (RFC 8656 section 18.12). */
export interface AddressErrorCodeValue extends ErrorCodeValue {
  readonly family: AddressFamily;
}

/** One item of PASSWORD-ALGORITHMS (RFC 8489 section 14.11). */
export interface PasswordAlgorithm {
  /** A `PasswordAlgorithmId`, or one that this library does not know. */
  readonly algorithm: number;
  /** Empty for MD5 and SHA-256. */
  readonly parameters: Uint8Array;
}

/** ICMP (RFC 8656 section 18.13). Type and code are bytes, as in ICMP, whatever widths the RFC's figure draws. */
export interface IcmpValue {
  readonly type: number;
  readonly code: number;
  /** The next-hop MTU where the type and the code have one, otherwise 0. */
  readonly data: number;
}

/** CHANGE-REQUEST (RFC 5780 section 7.2). */
export interface ChangeRequest {
  readonly changeIp: boolean;
  readonly changePort: boolean;
}

/** EVEN-PORT (RFC 8656 section 18.7). */
export interface EvenPort {
  /** The R bit: reserve the next higher port, too. */
  readonly reserveNext: boolean;
}

/** TRANSACTION_TRANSMIT_COUNTER (RFC 7982 section 3.1). Both count from 1; 255 stands for more. */
export interface TransmitCounter {
  readonly requests: number;
  /** 0 in a request. */
  readonly responses: number;
}

/** ECN-CHECK (RFC 6679 section 7.2.2). */
export interface EcnCheck {
  /** The ECN field that was seen, 0 to 3. */
  readonly ecn: number;
  /** Whether `ecn` is meaningful: set in responses. */
  readonly valid: boolean;
}

/** GOOG-NETWORK-INFO: what Chromium tells about the network a check leaves through. */
export interface NetworkInfo {
  readonly id: number;
  readonly cost: number;
}

export const MAX_REASON_BYTES = 763;

function errorSize(name: string, value: ErrorCodeValue): number {
  if (!Number.isInteger(value.code) || value.code < 300 || value.code > 699) {
    throw outOfRange(name, `${value.code} is not 300 to 699`);
  }
  const length = utf8Length(value.reason);
  if (length > MAX_REASON_BYTES) throw outOfRange(name, `a reason of ${length} bytes`);
  return 4 + length;
}

function writeError(value: ErrorCodeValue, message: Uint8Array, at: number): void {
  message[at + 2] = Math.floor(value.code / 100);
  message[at + 3] = value.code % 100;
  utf8Write(value.reason, message, at + 4);
}

function readError(message: Uint8Array, start: number, end: number): ErrorCodeValue | undefined {
  if (end - start < 4) return undefined;
  const hundreds = (message[start + 2] ?? 0) & 0x07;
  const number = message[start + 3] ?? 0;
  if (hundreds < 3 || hundreds > 6 || number > 99) return undefined;
  return { code: hundreds * 100 + number, reason: utf8DecodeLossy(message, start + 4, end) };
}

export function errorCode(type: number, name: string): AttributeType<ErrorCodeValue> {
  return { type, name, size: (value) => errorSize(name, value), write: writeError, read: readError };
}

export function addressErrorCode(type: number, name: string): AttributeType<AddressErrorCodeValue> {
  return {
    type,
    name,
    size: (value) => errorSize(name, value),
    write(value, message, at) {
      writeError(value, message, at);
      message[at] = familyNumber(value.family);
    },
    read(message, start, end) {
      const error = readError(message, start, end);
      const family = familyFromNumber(message[start]);
      return error && family && { family, ...error };
    },
  };
}

function algorithmSize(name: string, value: PasswordAlgorithm): number {
  requireInteger(name, value.algorithm, 0xffff);
  requireInteger(name, value.parameters.length, 0xffff);
  return 4 + padded(value.parameters.length);
}

function writeAlgorithm(value: PasswordAlgorithm, message: Uint8Array, at: number): void {
  writeU16(value.algorithm, message, at);
  writeU16(value.parameters.length, message, at + 2);
  message.set(value.parameters, at + 4);
}

function readAlgorithm(message: Uint8Array, start: number, end: number): PasswordAlgorithm | undefined {
  if (end - start < 4) return undefined;
  const length = readU16(message, start + 2);
  if (start + 4 + length > end) return undefined;
  return { algorithm: readU16(message, start), parameters: message.subarray(start + 4, start + 4 + length) };
}

export function passwordAlgorithm(type: number, name: string): AttributeType<PasswordAlgorithm> {
  return {
    type,
    name,
    size: (value) => algorithmSize(name, value),
    write: writeAlgorithm,
    read(message, start, end) {
      const value = readAlgorithm(message, start, end);
      return value && end - start <= 4 + padded(value.parameters.length) ? value : undefined;
    },
  };
}

export function passwordAlgorithms(type: number, name: string): AttributeType<readonly PasswordAlgorithm[]> {
  return {
    type,
    name,
    size: (value) => value.reduce((sum, item) => sum + algorithmSize(name, item), 0),
    write(value, message, at) {
      let next = at;
      for (const item of value) {
        writeAlgorithm(item, message, next);
        next += algorithmSize(name, item);
      }
    },
    read(message, start, end) {
      const items: PasswordAlgorithm[] = [];
      for (let at = start; at < end; ) {
        const item = readAlgorithm(message, at, end);
        if (!item) return undefined;
        items.push(item);
        at += 4 + padded(item.parameters.length);
      }
      return items;
    },
  };
}

export function icmp(type: number, name: string): AttributeType<IcmpValue> {
  return {
    type,
    name,
    size(value) {
      requireInteger(name, value.type, 0xff);
      requireInteger(name, value.code, 0xff);
      requireInteger(name, value.data, 0xffffffff);
      return 8;
    },
    write(value, message, at) {
      message[at + 2] = value.type;
      message[at + 3] = value.code;
      writeU32(value.data, message, at + 4);
    },
    read(message, start, end) {
      if (end - start !== 8) return undefined;
      return { type: message[start + 2] ?? 0, code: message[start + 3] ?? 0, data: readU32(message, start + 4) };
    },
  };
}

/** A value of 32 bits that a pair of functions packs and unpacks. */
function packed32<T>(
  type: number,
  name: string,
  pack: (value: T) => number,
  unpack: (word: number) => T,
): AttributeType<T> {
  return {
    type,
    name,
    size(value) {
      requireInteger(name, pack(value), 0xffffffff);
      return 4;
    },
    write: (value, message, at) => writeU32(pack(value), message, at),
    read: (message, start, end) => (end - start === 4 ? unpack(readU32(message, start)) : undefined),
  };
}

const CHANGE_IP = 0x04;
const CHANGE_PORT = 0x02;

export function changeRequest(type: number, name: string): AttributeType<ChangeRequest> {
  return packed32(
    type,
    name,
    (value) => (value.changeIp ? CHANGE_IP : 0) | (value.changePort ? CHANGE_PORT : 0),
    (word) => ({ changeIp: (word & CHANGE_IP) !== 0, changePort: (word & CHANGE_PORT) !== 0 }),
  );
}

export function transmitCounter(type: number, name: string): AttributeType<TransmitCounter> {
  return packed32(
    type,
    name,
    (value) => {
      requireInteger(name, value.requests, 0xff);
      requireInteger(name, value.responses, 0xff);
      return (value.requests << 8) | value.responses;
    },
    (word) => ({ requests: (word >> 8) & 0xff, responses: word & 0xff }),
  );
}

export function ecnCheck(type: number, name: string): AttributeType<EcnCheck> {
  return packed32(
    type,
    name,
    (value) => {
      requireInteger(name, value.ecn, 3);
      return (value.ecn << 1) | (value.valid ? 1 : 0);
    },
    (word) => ({ ecn: (word >> 1) & 3, valid: (word & 1) !== 0 }),
  );
}

export function networkInfo(type: number, name: string): AttributeType<NetworkInfo> {
  return packed32(
    type,
    name,
    (value) => {
      requireInteger(name, value.id, 0xffff);
      requireInteger(name, value.cost, 0xffff);
      return ((value.id << 16) | value.cost) >>> 0;
    },
    (word) => ({ id: word >>> 16, cost: word & 0xffff }),
  );
}

export function evenPort(type: number, name: string): AttributeType<EvenPort> {
  return {
    type,
    name,
    size: () => 1,
    write(value, message, at) {
      message[at] = value.reserveNext ? 0x80 : 0;
    },
    read(message, start, end) {
      return end - start === 1 ? { reserveNext: ((message[start] ?? 0) & 0x80) !== 0 } : undefined;
    },
  };
}
