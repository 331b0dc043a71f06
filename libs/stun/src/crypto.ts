/** The primitives that STUN needs, handed in by the caller. All of them are synchronous and must not keep their input. */
export interface StunCrypto {
  /** 16 bytes. */
  md5(data: Uint8Array): Uint8Array;
  /** 32 bytes. */
  sha256(data: Uint8Array): Uint8Array;
  /** 20 bytes. */
  hmacSha1(key: Uint8Array, data: Uint8Array): Uint8Array;
  /** 32 bytes. */
  hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array;
}

/** Whether two byte strings are equal, in a time that depends on their lengths only. */
export function timingSafeEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
}
