/** A CSPRNG in production, a seeded generator in tests. */
export interface RandomSource {
  bytes(count: number): Uint8Array;
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** 22 characters of the base64url alphabet: 132 bits. */
export function randomId(random: RandomSource): string {
  let id = "";
  for (const byte of random.bytes(22)) id += ALPHABET.charAt(byte & 63);
  return id;
}
