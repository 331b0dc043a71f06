import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "@culvert/dataplane";
import { FleetClock } from "@culvert/fleet";
import type { FleetStore } from "@culvert/state";
import type { Logger } from "@culvert/telemetry";

const SAMPLES = 3;
const RETRY_MS = 25;
/** Between two lines of the log while the store does not answer. */
const COMPLAIN_MS = 30_000;

/**
 * The relay's one clock, in a fleet: the process's monotonic clock, set once, at the start, to fleet time. What it is off
 * by later is small, and goes into what is read from the store and written to it.
 */
export class FleetTime {
  readonly clock: Clock;
  readonly #residual: FleetClock = new FleetClock();
  readonly #process: Clock;
  #shift = 0;

  constructor(process: Clock) {
    this.#process = process;
    this.clock = () => this.#process() + this.#shift;
  }

  /** What to add to {@link clock} to have fleet time, in milliseconds. */
  get offset(): number {
    return this.#residual.offset;
  }

  now(): number {
    return this.clock() + this.offset;
  }

  /** An answer of the store that told the time. */
  observe(sent: number, received: number, fleet: number): void {
    this.#residual.add({ sent, received, fleet });
  }

  /** Sets the clock, as soon as the store answers. */
  async set(store: FleetStore, logger: Logger, signal: AbortSignal): Promise<void> {
    let complained = Number.NEGATIVE_INFINITY;
    for (let samples = 0; samples < SAMPLES; ) {
      const sent = this.#process();
      try {
        const fleet = await store.time();
        this.#residual.add({ sent, received: this.#process(), fleet });
        samples++;
      } catch (error) {
        if (sent - complained > COMPLAIN_MS) logger.warn({ err: error }, "waits for Redis to join the fleet");
        if (sent - complained > COMPLAIN_MS) complained = sent;
        await sleep(RETRY_MS, undefined, { signal });
      }
      signal.throwIfAborted();
    }
    this.#shift = this.#residual.offset;
    this.#residual.reset();
  }
}
