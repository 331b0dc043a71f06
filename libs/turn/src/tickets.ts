import { type StunCrypto, timingSafeEqual, utf8Encode } from "@culvert/stun";
import { decodeBase64Url, encodeBase64Url } from "./base64.ts";
import type { Millis } from "./io.ts";
import type { RandomSource } from "./random.ts";

/** What a mobility ticket (RFC 8016) says to the servers of its fleet. */
export interface Ticket {
  /** Names the allocation in the fleet: `AllocationSnapshot.record`. */
  readonly record: string;
  /** Where its first relayed address was when the ticket was made; empty where ports do not come in slots. */
  readonly slot: string;
  /** How many tickets the client was given for the allocation before this one. */
  readonly generation: number;
  readonly expiresAt: Millis;
}

const VERSION = 1;
const IV_BYTES = 16;
const RECORD_BYTES = 12;
const GENERATION_BYTES = 4;
const TIME_BYTES = 6;
const FIXED_BYTES = 1 + RECORD_BYTES + GENERATION_BYTES + TIME_BYTES;
const MAC_BYTES = 16;
const MAX_SLOT_BYTES = 100;
const MAX_BYTES = IV_BYTES + FIXED_BYTES + MAX_SLOT_BYTES + MAC_BYTES;

const ENCRYPTION = utf8Encode("culvert mobility ticket encryption");
const AUTHENTICATION = utf8Encode("culvert mobility ticket authentication");

/** A new name for an allocation: 96 random bits as 16 characters of base64url, the first of which is no "-". */
export function newRecord(random: RandomSource): string {
  const name = encodeBase64Url(random.bytes(RECORD_BYTES));
  // Operators give names to commands, which would take it for an option.
  return name.startsWith("-") ? `e${name.slice(1)}` : name;
}

export function isRecord(text: string): boolean {
  return text.length === 16 && decodeBase64Url(text) !== undefined;
}

/**
 * Makes a ticket: encrypted and authenticated, as RFC 8016 section 5 has it, so that nobody but the fleet reads it, or
 * makes one. HMAC-SHA-256 in counter mode, then an HMAC over all of it.
 */
export function makeTicket(ticket: Ticket, key: Uint8Array, crypto: StunCrypto, random: RandomSource): Uint8Array {
  const slot = utf8Encode(ticket.slot).subarray(0, MAX_SLOT_BYTES);
  const bytes = new Uint8Array(IV_BYTES + FIXED_BYTES + slot.length + MAC_BYTES);
  const iv = random.bytes(IV_BYTES);
  bytes.set(iv);
  const body = bytes.subarray(IV_BYTES, bytes.length - MAC_BYTES);
  body[0] = VERSION;
  body.set(decodeBase64Url(ticket.record)?.subarray(0, RECORD_BYTES) ?? [], 1);
  writeInteger(body.subarray(1 + RECORD_BYTES, 1 + RECORD_BYTES + GENERATION_BYTES), ticket.generation);
  writeInteger(body.subarray(FIXED_BYTES - TIME_BYTES, FIXED_BYTES), ticket.expiresAt);
  body.set(slot, FIXED_BYTES);
  mask(body, iv, key, crypto);
  const covered = bytes.subarray(0, bytes.length - MAC_BYTES);
  bytes.set(macOf(covered, key, crypto), covered.length);
  return bytes;
}

/**
 * Reads the ticket that a client sent in a Refresh: any server of the fleet can, and finds out whose allocation it is.
 * Undefined where none of the keys made it, or it is over.
 */
export function readTicket(
  bytes: Uint8Array,
  keys: readonly Uint8Array[],
  crypto: StunCrypto,
  now: Millis,
): Ticket | undefined {
  if (bytes.length < IV_BYTES + FIXED_BYTES + MAC_BYTES || bytes.length > MAX_BYTES) return undefined;
  const covered = bytes.subarray(0, bytes.length - MAC_BYTES);
  const mac = bytes.subarray(covered.length);
  const key = keys.find((candidate) => timingSafeEqual(macOf(covered, candidate, crypto), mac));
  if (key === undefined) return undefined;
  // Not `slice`, which copies nothing of a Buffer.
  const body = new Uint8Array(covered.subarray(IV_BYTES));
  mask(body, covered.subarray(0, IV_BYTES), key, crypto);
  if (body[0] !== VERSION) return undefined;
  const expiresAt = readInteger(body.subarray(FIXED_BYTES - TIME_BYTES, FIXED_BYTES));
  if (expiresAt <= now) return undefined;
  return {
    record: encodeBase64Url(body.subarray(1, 1 + RECORD_BYTES)),
    slot: textOf(body.subarray(FIXED_BYTES)),
    generation: readInteger(body.subarray(1 + RECORD_BYTES, 1 + RECORD_BYTES + GENERATION_BYTES)),
    expiresAt,
  };
}

/** The tickets of one server. */
export class Tickets {
  readonly #crypto: StunCrypto;
  readonly #random: RandomSource;
  readonly #lifetimeMs: number;
  #keys: readonly Uint8Array[];

  constructor(keys: readonly Uint8Array[], lifetimeMs: number, crypto: StunCrypto, random: RandomSource) {
    this.#crypto = crypto;
    this.#random = random;
    this.#lifetimeMs = lifetimeMs;
    this.#keys = keys;
  }

  setKeys(keys: readonly Uint8Array[]): void {
    this.#keys = keys;
  }

  make(record: string, slot: string | undefined, generation: number, now: Millis): Uint8Array {
    const [key = new Uint8Array(0)] = this.#keys;
    const expiresAt = Math.floor(now) + this.#lifetimeMs;
    return makeTicket({ record, slot: slot ?? "", generation, expiresAt }, key, this.#crypto, this.#random);
  }

  read(bytes: Uint8Array, now: Millis): Ticket | undefined {
    return readTicket(bytes, this.#keys, this.#crypto, now);
  }
}

/** Encrypts, and decrypts. */
function mask(body: Uint8Array, iv: Uint8Array, key: Uint8Array, crypto: StunCrypto): void {
  const own = crypto.hmacSha256(key, ENCRYPTION);
  const input = new Uint8Array(IV_BYTES + 1);
  input.set(iv);
  for (let at = 0; at < body.length; at += 32) {
    input[IV_BYTES] = at / 32;
    const stream = crypto.hmacSha256(own, input);
    for (let index = at; index < Math.min(at + 32, body.length); index++) {
      body[index] = (body[index] ?? 0) ^ (stream[index - at] ?? 0);
    }
  }
}

function macOf(covered: Uint8Array, key: Uint8Array, crypto: StunCrypto): Uint8Array {
  return crypto.hmacSha256(crypto.hmacSha256(key, AUTHENTICATION), covered).subarray(0, MAC_BYTES);
}

function writeInteger(into: Uint8Array, value: number): void {
  let rest = Math.floor(value);
  for (let index = into.length - 1; index >= 0; index--) {
    into[index] = rest % 256;
    rest = Math.floor(rest / 256);
  }
}

function readInteger(bytes: Uint8Array): number {
  return bytes.reduce((value, byte) => value * 256 + byte, 0);
}

/** Slots are named in ASCII. */
function textOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
