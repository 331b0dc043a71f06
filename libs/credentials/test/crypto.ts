import { createHmac } from "node:crypto";
import type { CredentialCrypto } from "@culvert/credentials";

const hmac = (algorithm: string, key: Uint8Array, data: Uint8Array): Uint8Array =>
  new Uint8Array(createHmac(algorithm, key).update(data).digest());

export const crypto: CredentialCrypto = {
  hmacSha1: (key, data) => hmac("sha1", key, data),
  hmacSha256: (key, data) => hmac("sha256", key, data),
};

export const utf8 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "utf8"));
