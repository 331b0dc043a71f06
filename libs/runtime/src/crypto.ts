import { createHash, createHmac } from "node:crypto";
import type { StunCrypto } from "@culvert/stun";

/** The hashes and HMACs of node:crypto, as the pure libraries want them. */
export const nodeCrypto: StunCrypto = {
  md5: (data) => createHash("md5").update(data).digest(),
  sha256: (data) => createHash("sha256").update(data).digest(),
  hmacSha1: (key, data) => createHmac("sha1", key).update(data).digest(),
  hmacSha256: (key, data) => createHmac("sha256", key).update(data).digest(),
};
