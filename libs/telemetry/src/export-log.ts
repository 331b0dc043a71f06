import type { Logger } from "./logger.ts";

/** A collector that is away fails every export: one line in so many milliseconds is enough. */
const QUIET_MS = 60_000;

/** Says in the log that exports fail, and that they are taken again. */
export class ExportLog {
  readonly #signal: string;
  readonly #logger: Logger | undefined;
  #failing = false;
  #saidAt = Number.NEGATIVE_INFINITY;
  #unsaid = 0;

  constructor(signal: string, logger: Logger | undefined) {
    this.#signal = signal;
    this.#logger = logger;
  }

  failed(error: Error | undefined): void {
    this.#failing = true;
    const now = performance.now();
    if (now - this.#saidAt < QUIET_MS) {
      this.#unsaid += 1;
      return;
    }
    const signal = this.#signal;
    this.#logger?.warn({ signal, reason: error?.message, alsoFailed: this.#unsaid }, "telemetry is not taken");
    this.#saidAt = now;
    this.#unsaid = 0;
  }

  succeeded(): void {
    if (!this.#failing) return;
    this.#failing = false;
    this.#saidAt = Number.NEGATIVE_INFINITY;
    this.#logger?.info({ signal: this.#signal }, "telemetry is taken again");
  }
}
