import { createHash, createSecretKey, hkdfSync, type KeyObject } from "node:crypto";
import type { AddressFamily } from "@culvert/stun";
import type { ListenerSpec } from "../port.ts";

const KEY_LENGTH = 32;
const SEAL_INFO = "culvert mesh 1 seal";
const KEY_ID_INFO = "culvert mesh 1 key id";

/** What one relay seals with under one secret of the fleet. */
export interface SealKey {
  /** Tells the secrets of a fleet apart, 0 to 255; two may have the same. */
  readonly id: number;
  /** AES-256. */
  readonly bytes: Buffer;
  readonly key: KeyObject;
}

/** The keys that the relay with this instance seals with (HKDF-SHA-256, RFC 5869), one for each secret and in their order. */
export function sealKeys(secrets: readonly Uint8Array[], instance: Uint8Array): readonly SealKey[] {
  return secrets.map((secret) => {
    const bytes = Buffer.from(hkdfSync("sha256", secret, instance, SEAL_INFO, KEY_LENGTH));
    const id = Buffer.from(hkdfSync("sha256", secret, "", KEY_ID_INFO, 1)).readUInt8(0);
    return { id, bytes, key: createSecretKey(bytes) };
  });
}

/** 32 hexadecimal digits as bytes; undefined for anything else. */
export function parseInstance(text: string): Buffer | undefined {
  return /^[0-9a-f]{32}$/i.test(text) ? Buffer.from(text, "hex") : undefined;
}

/** How a client-facing address space is named on the wire: by 32 bits. The same name is another one over IPv6 and by TLS. */
export function frontendId(transport: ListenerSpec["transport"], family: AddressFamily, name: string): number {
  return createHash("sha256").update(`${transport} ${family} ${name}`).digest().readUInt32BE(0);
}
