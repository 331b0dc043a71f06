import type { Clock } from "@culvert/dataplane";
import { outside } from "@culvert/tracing";

/** One deadline that moves, on the relay's clock. */
export class Timer {
  readonly #clock: Clock;
  readonly #action: () => void;
  #handle: NodeJS.Timeout | undefined;
  #due = Number.POSITIVE_INFINITY;

  constructor(clock: Clock, action: () => void) {
    this.#clock = clock;
    this.#action = action;
  }

  /** Undefined: never. */
  set(due: number | undefined): void {
    if (due === undefined) {
      this.stop();
      return;
    }
    if (this.#handle !== undefined && this.#due === due) return;
    this.stop();
    this.#due = due;
    this.#handle = setTimeout(
      () => {
        this.#handle = undefined;
        // Whoever set it is not the cause of all that is due.
        outside(this.#action);
      },
      Math.max(0, Math.ceil(due - this.#clock())),
    );
    this.#handle.unref();
  }

  stop(): void {
    clearTimeout(this.#handle);
    this.#handle = undefined;
  }
}
