import { encodeNonceCookie, type StunCrypto, timingSafeEqual, utf8Encode } from "@culvert/stun";
import { decodeBase64Url, encodeBase64Url } from "./base64.ts";
import type { ClientAddress, Millis } from "./io.ts";

/** Another relay's clock may be ahead by this much. */
const CLOCK_SKEW_MS = 30_000;

const TIME_BYTES = 6;
const MAC_BYTES = 16;

/** Nonces that were found right before and are remembered, with whom they were made for. */
const REMEMBERED = 1024;

/** A nonce that is right but for its age. */
interface Known {
  readonly madeAt: Millis;
  readonly ip: string;
  readonly port: number;
}

export interface NonceOptions {
  /** The first makes nonces, all are accepted. */
  readonly keys: readonly Uint8Array[];
  readonly lifetimeMs: number;
  readonly passwordAlgorithms: boolean;
  readonly userHash: boolean;
}

/**
 * Nonces without memory: the time, and an HMAC over the time and the client's address under a key of the fleet. Every
 * server that has the key accepts them.
 */
export class Nonces {
  readonly #crypto: StunCrypto;
  readonly #lifetimeMs: number;
  readonly #prefix: string;
  #keys: readonly Uint8Array[];
  /** The longest there go first. Only right ones get in, so that a flood of others leaves it as it is. */
  readonly #known = new Map<string, Known>();

  constructor(options: NonceOptions, crypto: StunCrypto) {
    this.#crypto = crypto;
    this.#lifetimeMs = options.lifetimeMs;
    this.#keys = options.keys;
    this.#prefix = prefixOf(options);
  }

  setKeys(keys: readonly Uint8Array[]): void {
    this.#keys = keys;
    this.#known.clear();
  }

  make(client: ClientAddress, now: Millis): string {
    const time = new Uint8Array(TIME_BYTES);
    let rest = Math.floor(now);
    for (let index = TIME_BYTES - 1; index >= 0; index--) {
      time[index] = rest % 256;
      rest = Math.floor(rest / 256);
    }
    const [key = new Uint8Array(0)] = this.#keys;
    const token = new Uint8Array(TIME_BYTES + MAC_BYTES);
    token.set(time);
    token.set(this.#mac(key, time, client), TIME_BYTES);
    return this.#prefix + encodeBase64Url(token);
  }

  /** Whether the nonce is one of the fleet's, made for this client, and not too old. */
  check(nonce: string, client: ClientAddress, now: Millis): boolean {
    const madeAt = this.#madeAt(nonce, client);
    if (madeAt === undefined) return false;
    const age = now - madeAt;
    return age >= -CLOCK_SKEW_MS && age < this.#lifetimeMs;
  }

  /** When a nonce was made for this client by one of the fleet; undefined for all others. */
  #madeAt(nonce: string, client: ClientAddress): Millis | undefined {
    const known = this.#known.get(nonce);
    // A client uses its nonce for all that it asks for in a row.
    if (known !== undefined) return known.ip === client.ip && known.port === client.port ? known.madeAt : undefined;
    if (!nonce.startsWith(this.#prefix)) return undefined;
    const token = decodeBase64Url(nonce.slice(this.#prefix.length));
    if (token?.length !== TIME_BYTES + MAC_BYTES) return undefined;
    const time = token.subarray(0, TIME_BYTES);
    const mac = token.subarray(TIME_BYTES);
    if (!this.#keys.some((key) => timingSafeEqual(this.#mac(key, time, client), mac))) return undefined;
    const madeAt = time.reduce((value, byte) => value * 256 + byte, 0);
    this.#known.set(nonce, { madeAt, ip: client.ip, port: client.port });
    if (this.#known.size > REMEMBERED) {
      const [oldest] = this.#known.keys();
      if (oldest !== undefined) this.#known.delete(oldest);
    }
    return madeAt;
  }

  #mac(key: Uint8Array, time: Uint8Array, client: ClientAddress): Uint8Array {
    const subject = utf8Encode(`${this.#prefix} ${client.ip} ${client.port} `);
    const data = new Uint8Array(subject.length + time.length);
    data.set(subject);
    data.set(time, subject.length);
    return this.#crypto.hmacSha256(key, data).subarray(0, MAC_BYTES);
  }
}

function prefixOf({ passwordAlgorithms, userHash }: NonceOptions): string {
  return passwordAlgorithms || userHash ? encodeNonceCookie({ passwordAlgorithms, usernameAnonymity: userHash }) : "";
}
