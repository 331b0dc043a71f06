import { createHash, createHmac } from "node:crypto";
import { decodeMessage, type StunCrypto, type StunMessage } from "@culvert/stun";

const hash = (name: string, data: Uint8Array): Uint8Array => new Uint8Array(createHash(name).update(data).digest());
const hmac = (name: string, key: Uint8Array, data: Uint8Array): Uint8Array =>
  new Uint8Array(createHmac(name, key).update(data).digest());

export const crypto: StunCrypto = {
  md5: (data) => hash("md5", data),
  sha256: (data) => hash("sha256", data),
  hmacSha1: (key, data) => hmac("sha1", key, data),
  hmacSha256: (key, data) => hmac("sha256", key, data),
};

/** Bytes from hexadecimal digits; white space does not count. */
export function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replace(/\s/g, ""), "hex"));
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

export function ascii(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "latin1"));
}

export function decoded(bytes: Uint8Array): StunMessage {
  const result = decodeMessage(bytes);
  if (!result.ok) throw new Error(`not a STUN message: ${result.reason}`);
  return result.message;
}

export const TRANSACTION_ID: Uint8Array = hex("000102030405060708090a0b");

/** A message with these attributes (in hexadecimal, each complete with header and padding) and a right length field. */
export function messageOf(type: string, ...attributes: string[]): Uint8Array {
  const body = hex(attributes.join(""));
  const message = hex(`${type} 0000 2112a442 ${toHex(TRANSACTION_ID)} ${toHex(body)}`);
  message[2] = body.length >> 8;
  message[3] = body.length & 0xff;
  return message;
}
