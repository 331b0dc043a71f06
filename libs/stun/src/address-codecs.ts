import {
  type AddressFamily,
  familyOf,
  formatIpv4,
  formatIpv6,
  type TransportAddress,
  writeIpv4,
  writeIpv6,
} from "./address.ts";
import type { AttributeType } from "./attribute-type.ts";
import { outOfRange, requireInteger } from "./codecs.ts";
import { readU16, writeU16 } from "./wire.ts";

const FAMILY_V4 = 0x01;
const FAMILY_V6 = 0x02;
/** Where the magic cookie is, and the transaction id after it: the key of the XOR- attributes. */
const XOR_KEY = 4;

/** The number of a family on the wire (RFC 8489 section 14.1). */
export function familyNumber(family: AddressFamily): number {
  return family === 4 ? FAMILY_V4 : FAMILY_V6;
}

export function familyFromNumber(number: number | undefined): AddressFamily | undefined {
  if (number === FAMILY_V4) return 4;
  return number === FAMILY_V6 ? 6 : undefined;
}

/** Bytes of an address value: 8 or 20. */
export function addressSize(ip: string): number {
  return familyOf(ip) === 4 ? 8 : 20;
}

/** Writes a MAPPED-ADDRESS value. False when `ip` is not an address. */
export function writeAddress(address: TransportAddress, message: Uint8Array, at: number): boolean {
  const isV4 = familyOf(address.ip) === 4;
  message[at] = 0;
  message[at + 1] = isV4 ? FAMILY_V4 : FAMILY_V6;
  writeU16(address.port, message, at + 2);
  return isV4 ? writeIpv4(address.ip, message, at + 4) : writeIpv6(address.ip, message, at + 4);
}

/** XORs port and IP address of the address value at `at`, `length` bytes long, in place with the header's key. */
function xorAddress(message: Uint8Array, at: number, length: number): void {
  for (let i = 0; i < 2; i++) message[at + 2 + i] = (message[at + 2 + i] ?? 0) ^ (message[XOR_KEY + i] ?? 0);
  for (let i = 0; i < length - 4; i++) message[at + 4 + i] = (message[at + 4 + i] ?? 0) ^ (message[XOR_KEY + i] ?? 0);
}

/** Writes an XOR-MAPPED-ADDRESS value into a message whose header is there already. False when `ip` is no address. */
export function writeXorAddress(address: TransportAddress, message: Uint8Array, at: number): boolean {
  if (!writeAddress(address, message, at)) return false;
  xorAddress(message, at, addressSize(address.ip));
  return true;
}

function readPlain(message: Uint8Array, start: number, end: number): TransportAddress | undefined {
  const family = message[start + 1];
  const length = end - start;
  if (length === 8 && family === FAMILY_V4) {
    return { ip: formatIpv4(message, start + 4), port: readU16(message, start + 2) };
  }
  if (length === 20 && family === FAMILY_V6) {
    return { ip: formatIpv6(message, start + 4), port: readU16(message, start + 2) };
  }
  return undefined;
}

/** Reads an XOR-MAPPED-ADDRESS value (RFC 8489 section 14.2). */
export function readXorAddress(message: Uint8Array, start: number, end: number): TransportAddress | undefined {
  const family = message[start + 1];
  const length = end - start;
  const port = readU16(message, start + 2) ^ readU16(message, XOR_KEY);
  if (length === 8 && family === FAMILY_V4) {
    const a = (message[start + 4] ?? 0) ^ (message[XOR_KEY] ?? 0);
    const b = (message[start + 5] ?? 0) ^ (message[XOR_KEY + 1] ?? 0);
    const c = (message[start + 6] ?? 0) ^ (message[XOR_KEY + 2] ?? 0);
    const d = (message[start + 7] ?? 0) ^ (message[XOR_KEY + 3] ?? 0);
    return { ip: `${a}.${b}.${c}.${d}`, port };
  }
  if (length !== 20 || family !== FAMILY_V6) return undefined;
  const ip = new Uint8Array(16);
  for (let i = 0; i < 16; i++) ip[i] = (message[start + 4 + i] ?? 0) ^ (message[XOR_KEY + i] ?? 0);
  return { ip: formatIpv6(ip, 0), port };
}

const scratch = new Uint8Array(24);

function codec(
  type: number,
  name: string,
  write: typeof writeAddress,
  read: AttributeType<TransportAddress>["read"],
): AttributeType<TransportAddress> {
  return {
    type,
    name,
    size(value) {
      requireInteger(name, value.port, 0xffff);
      if (!writeAddress(value, scratch, 0)) throw outOfRange(name, "not an IP address");
      return addressSize(value.ip);
    },
    write: (value, message, at) => void write(value, message, at),
    read,
  };
}

/** An address as it is (RFC 8489 section 14.1). */
export function address(type: number, name: string): AttributeType<TransportAddress> {
  return codec(type, name, writeAddress, readPlain);
}

/** An address XORed with the magic cookie and the transaction id (RFC 8489 section 14.2). */
export function xoredAddress(type: number, name: string): AttributeType<TransportAddress> {
  return codec(type, name, writeXorAddress, readXorAddress);
}

/** REQUESTED-ADDRESS-FAMILY and its like: one byte and 24 reserved bits (RFC 8656 section 18.6). */
export function addressFamily(type: number, name: string): AttributeType<AddressFamily> {
  return {
    type,
    name,
    size: () => 4,
    write(value, message, at) {
      message[at] = familyNumber(value);
    },
    read: (message, start, end) => (end - start === 4 ? familyFromNumber(message[start]) : undefined),
  };
}
