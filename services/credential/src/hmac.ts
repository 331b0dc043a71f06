import { createHmac } from "node:crypto";
import type { CredentialCrypto } from "@culvert/credentials";

/** The HMACs of `node:crypto`. */
export const nodeCrypto: CredentialCrypto = {
  hmacSha1: (key, data) => createHmac("sha1", key).update(data).digest(),
  hmacSha256: (key, data) => createHmac("sha256", key).update(data).digest(),
};
