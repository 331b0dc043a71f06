import { createHmac, randomBytes } from "node:crypto";

/** Turns an address into a short text that tells two addresses apart in a log and does not tell the address. */
export type AddressHasher = (ip: string) => string;

/** Instances that share `key` write the same text for the same address: the prefix, and 12 hexadecimal digits. */
export function createAddressHasher(key: Uint8Array, prefix = "ip"): AddressHasher {
  return (ip) => `${prefix}-${createHmac("sha256", key).update(ip).digest("hex").slice(0, 12)}`;
}

/** Hashes under a key that this process drew at its start: an IPv4 address cannot be found by trying all of them. */
export const hashAddress: AddressHasher = createAddressHasher(randomBytes(32));
