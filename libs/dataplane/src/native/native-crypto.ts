import type { StunCrypto } from "@culvert/stun";
import { loadBinding } from "./load.ts";

/** Room for the longest key that is used, and for the longest message of STUN. */
const MEMORY = 1024 + 0x1_0000;
const SHA1_LENGTH = 20;
const SHA256_LENGTH = 32;

/**
 * HMACs by the addon, where it is built. On a message of STUN they take a fourth of what node:crypto takes, which makes
 * an object and looks its algorithm up for every one. Everything else is `other`'s.
 */
export function nativeCrypto(other: StunCrypto): StunCrypto {
  const loaded = loadBinding();
  if (!loaded.ok) return other;
  const memory = new Uint8Array(MEMORY);
  const mac = new loaded.binding.SharedMac(memory);
  return {
    ...other,
    hmacSha1(key, data) {
      if (key.length + data.length > MEMORY) return other.hmacSha1(key, data);
      memory.set(key);
      memory.set(data, key.length);
      mac.sha1(key.length, data.length);
      return memory.slice(0, SHA1_LENGTH);
    },
    hmacSha256(key, data) {
      if (key.length + data.length > MEMORY) return other.hmacSha256(key, data);
      memory.set(key);
      memory.set(data, key.length);
      mac.sha256(key.length, data.length);
      return memory.slice(0, SHA256_LENGTH);
    },
  };
}
