import type { Millis } from "./types.ts";

export interface TimeSample {
  /** When the question left and the answer came, on the own clock. */
  readonly sent: Millis;
  readonly received: Millis;
  /** Fleet time as the store told it. */
  readonly fleet: Millis;
}

/** Samples that are looked at: at four renewals a lease, some ten leases' worth. */
const WINDOW = 40;

/**
 * How far fleet time is ahead of the own clock. Of the last samples the one with the shortest round trip counts: it errs
 * by at most half of that.
 */
export class FleetClock {
  readonly #samples: TimeSample[] = [];
  #best: TimeSample | undefined;

  /** Milliseconds to add to the own clock; 0 before the first sample. */
  get offset(): number {
    return this.#best === undefined ? 0 : this.#best.fleet - (this.#best.sent + this.#best.received) / 2;
  }

  /** The most that {@link offset} can be wrong by, in milliseconds; infinite before the first sample. */
  get error(): number {
    return this.#best === undefined ? Number.POSITIVE_INFINITY : roundTrip(this.#best) / 2;
  }

  add(sample: TimeSample): void {
    this.#samples.push(sample);
    if (this.#samples.length > WINDOW) this.#samples.shift();
    this.#best = this.#samples.reduce((best, one) => (roundTrip(one) <= roundTrip(best) ? one : best));
  }

  /** The own clock was set: what was measured before means nothing any more. */
  reset(): void {
    this.#samples.length = 0;
    this.#best = undefined;
  }
}

function roundTrip({ sent, received }: TimeSample): number {
  return received - sent;
}
