import { nextRotation, nonceKeys } from "@culvert/fleet";
import type { StunCrypto } from "@culvert/stun";
import type { FleetTime } from "./fleet-time.ts";
import { Timer } from "./timer.ts";

/** A key is used for an hour at least, and for as long as a nonce lives. */
const LEAST_ROTATION_MS = 3_600_000;

/** Keys of nonces, which change with fleet time: all relays have the same ones. */
export class NonceRotation {
  readonly #crypto: StunCrypto;
  #secrets: readonly string[];
  readonly #rotationMs: number;
  readonly #time: FleetTime;
  #timer: Timer | undefined;

  constructor(crypto: StunCrypto, secrets: readonly string[], lifetimeMs: number, time: FleetTime) {
    this.#crypto = crypto;
    this.#secrets = secrets;
    this.#rotationMs = Math.max(lifetimeMs, LEAST_ROTATION_MS);
    this.#time = time;
  }

  setSecrets(secrets: readonly string[]): void {
    this.#secrets = secrets;
  }

  keys(): readonly Uint8Array[] {
    return nonceKeys(this.#crypto, this.#secrets, { now: this.#time.now(), rotationMs: this.#rotationMs });
  }

  follow(onChange: (keys: readonly Uint8Array[]) => void): void {
    const next = (): number => nextRotation(this.#time.now(), this.#rotationMs) - this.#time.offset;
    this.#timer = new Timer(this.#time.clock, () => {
      onChange(this.keys());
      this.#timer?.set(next());
    });
    this.#timer.set(next());
  }

  stop(): void {
    this.#timer?.stop();
  }
}
