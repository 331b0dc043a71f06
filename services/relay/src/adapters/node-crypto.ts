import { createHash, createHmac, randomBytes } from "node:crypto";
import type { StunCrypto } from "@culvert/stun";
import type { RandomSource } from "@culvert/turn";

const hash = (algorithm: string, data: Uint8Array): Uint8Array => createHash(algorithm).update(data).digest();
const hmac = (algorithm: string, key: Uint8Array, data: Uint8Array): Uint8Array =>
  createHmac(algorithm, key).update(data).digest();

export const nodeCrypto: StunCrypto = {
  md5: (data) => hash("md5", data),
  sha256: (data) => hash("sha256", data),
  hmacSha1: (key, data) => hmac("sha1", key, data),
  hmacSha256: (key, data) => hmac("sha256", key, data),
};

/** The CSPRNG of the system. */
export const nodeRandom: RandomSource = { bytes: (count) => randomBytes(count) };
