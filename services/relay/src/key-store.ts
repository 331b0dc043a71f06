import {
  DEFAULT_TENANT,
  type KeyChange,
  KeyRing,
  type KeySnapshot,
  type KeySource,
  type KeyWatch,
  type SigningKey,
} from "@culvert/credentials";
import type { Clock } from "@culvert/dataplane";
import { type StunCrypto, utf8Encode } from "@culvert/stun";
import type { Millis, TurnServer } from "@culvert/turn";

/** Ends allocations whose credentials are no longer good. */
export type Cut = (turn: TurnServer, now: Millis) => void;

export interface KeyStoreOptions {
  readonly crypto: StunCrypto;
  /** Secrets of the default tenant that no service hands out. */
  readonly secrets: readonly string[];
  readonly clock: Clock;
  /** Called whenever credentials were revoked. */
  readonly onCut: (cut: Cut) => void;
}

/** Longer than an Allocate waits for its relay socket: one that was let in just before a revocation is found by then. */
const SECOND_CUT_MS = 3_000;
const PRUNE_MS = 600_000;

/** The key ring, kept by the configured secrets and by a source. */
export class KeyStore {
  readonly ring: KeyRing;
  readonly #options: KeyStoreOptions;
  #static: readonly SigningKey[] = [];
  readonly #timers: Set<NodeJS.Timeout> = new Set();
  #watch: KeyWatch | undefined;
  #loaded = false;

  constructor(options: KeyStoreOptions) {
    this.#options = options;
    this.ring = new KeyRing({ crypto: options.crypto });
    this.setSecrets(options.secrets);
  }

  /**
   * Takes these configured secrets in the place of those before. What was allocated with one of those lives on; its refreshes
   * need another.
   */
  setSecrets(secrets: readonly string[]): void {
    for (const { tenant, kid } of this.#static) this.ring.apply({ type: "key-removed", tenant, kid });
    this.#static = secrets.map((secret, index) => ({
      tenant: DEFAULT_TENANT,
      kid: `configured-${index}`,
      secret: utf8Encode(secret),
      state: "active",
    }));
    for (const key of this.#static) this.ring.apply({ type: "key-changed", key });
  }

  follow(source: KeySource): void {
    this.#watch = source.watch({
      onSnapshot: (snapshot) => this.#replace(snapshot),
      onChange: (change) => this.#apply(change),
    });
    this.#repeat(PRUNE_MS, () => this.ring.prune(this.#options.clock() / 1000));
  }

  /** Whether a source is followed and has not told its keys yet. */
  get waiting(): boolean {
    return this.#watch !== undefined && !this.#loaded;
  }

  /** Whether the keys are known to be current; undefined when no source is followed. */
  get connected(): boolean | undefined {
    return this.#watch?.connected();
  }

  close(): void {
    this.#watch?.close();
    for (const timer of this.#timers) clearTimeout(timer);
  }

  #replace(snapshot: KeySnapshot): void {
    this.#loaded = true;
    this.ring.replace({ keys: [...snapshot.keys, ...this.#static], revocations: snapshot.revocations });
    if (snapshot.revocations.length > 0) this.#cutRevoked();
  }

  #apply(change: KeyChange): void {
    this.ring.apply(change);
    if (change.type === "revoked") this.#cutRevoked();
    if (change.type === "key-removed") {
      const { tenant, kid } = change;
      this.#cutTwice((turn, now) => void turn.revoke({ tenant, kid }, now));
    }
  }

  /** By user name and not by user: what was issued after the revocation of its user is good. */
  #cutRevoked(): void {
    this.#cutTwice((turn, now) => {
      for (const { tenant, username } of turn.list()) {
        const found = this.ring.resolve(username, now / 1000);
        if (!found.ok && found.reason === "revoked") turn.revoke({ tenant, username }, now);
      }
    });
  }

  #cutTwice(cut: Cut): void {
    this.#options.onCut(cut);
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#options.onCut(cut);
    }, SECOND_CUT_MS);
    this.#timers.add(timer.unref());
  }

  #repeat(everyMs: number, action: () => void): void {
    this.#timers.add(setInterval(action, everyMs).unref());
  }
}
