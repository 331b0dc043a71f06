import { longTermKey, type StunCrypto } from "@culvert/stun";

/** Keys that are remembered; the longest there go first. */
const REMEMBERED = 1024;

/** Derives the keys of long-term credentials (RFC 8489 section 9.2.2) and remembers those that were right. */
export class LongTermKeys {
  readonly #realm: string;
  readonly #crypto: StunCrypto;
  /** By algorithm, user name and password. */
  readonly #keys = new Map<string, Uint8Array>();

  constructor(realm: string, crypto: StunCrypto) {
    this.#realm = realm;
    this.#crypto = crypto;
  }

  of(username: string, password: string, algorithm: "md5" | "sha256"): Uint8Array {
    const known = this.#keys.get(nameOf(username, password, algorithm));
    return known ?? longTermKey({ username, realm: this.#realm, password, algorithm }, this.#crypto);
  }

  /** The key has proved right: its owner will be back. */
  remember(username: string, password: string, algorithm: "md5" | "sha256", key: Uint8Array): void {
    const name = nameOf(username, password, algorithm);
    if (this.#keys.has(name)) return;
    this.#keys.set(name, key);
    if (this.#keys.size <= REMEMBERED) return;
    const [oldest] = this.#keys.keys();
    if (oldest !== undefined) this.#keys.delete(oldest);
  }
}

function nameOf(username: string, password: string, algorithm: string): string {
  return `${algorithm} ${username.length} ${username}${password}`;
}
