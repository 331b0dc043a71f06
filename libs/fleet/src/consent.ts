import type { LeaseTimes } from "./lease-times.ts";
import type { Heartbeat, Millis, PeerEntry } from "./types.ts";

/**
 * Whether the store is down for all, as the other relays tell it directly. Silence is no consent: a relay that is not
 * heard may reach the store, and take what this one holds.
 */
export class Consent {
  readonly #times: LeaseTimes;
  /** The others as the store told them last; the instance of each. */
  #peers: ReadonlyMap<string, string> = new Map();
  #seenAt: Millis = Number.NEGATIVE_INFINITY;
  readonly #heard = new Map<string, Heartbeat>();

  constructor(times: LeaseTimes) {
    this.#times = times;
  }

  /** The other relays that live, by a question that was sent at `sent`. */
  see(peers: readonly Pick<PeerEntry, "identity" | "instance">[], sent: Millis): void {
    this.#peers = new Map(peers.map(({ identity, instance }) => [identity, instance]));
    this.#seenAt = sent;
    for (const identity of [...this.#heard.keys()]) if (!this.#peers.has(identity)) this.#heard.delete(identity);
  }

  /** A heartbeat, in whatever order they come. Those of others than the known relays tell nothing. */
  hear(heartbeat: Heartbeat): void {
    if (this.#peers.get(heartbeat.identity) !== heartbeat.instance) return;
    const last = this.#heard.get(heartbeat.identity);
    if (last?.instance === heartbeat.instance && (last.leaving || last.sentAt >= heartbeat.sentAt)) return;
    this.#heard.set(heartbeat.identity, heartbeat);
  }

  /**
   * Whether every other relay says, now, that it does not reach the store.
   *
   * @param now fleet time
   * @param renewed when the last renewal that was answered had been sent: who lived then must be known
   */
  given(now: Millis, renewed: Millis): boolean {
    if (this.#seenAt < renewed - this.#times.ttl) return false;
    for (const [identity, instance] of this.#peers) {
      const heard = this.#heard.get(identity);
      if (heard?.instance !== instance) return false;
      if (heard.leaving) continue;
      if (heard.reachesStore || heard.sentAt < now - this.#times.step || heard.sentAt > now + this.#times.step) {
        return false;
      }
    }
    return true;
  }
}
