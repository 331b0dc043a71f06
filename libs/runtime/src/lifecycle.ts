export type Close = () => void | Promise<void>;

export interface LifecycleSteps<Info> {
  /** Opens everything, and says how each thing is closed as soon as it is open. */
  start(): Promise<Info>;
  /** Before everything is closed: leaves time to those who are served. Not after a start that failed. */
  drain?(): Promise<void>;
  /** Everything is closed. */
  stopped(): void;
}

/** The start and the stop of a service. What was opened last is closed first, also when the start fails half-way. */
export class Lifecycle<Info> {
  readonly #steps: LifecycleSteps<Info>;
  readonly #open: Close[] = [];
  #stopping: Promise<void> | undefined;

  constructor(steps: LifecycleSteps<Info>) {
    this.#steps = steps;
  }

  /** Whether the service was told to stop, or could not start. */
  get stopping(): boolean {
    return this.#stopping !== undefined;
  }

  /** Called by the steps with what to do at the end. */
  onClose(...close: readonly Close[]): void {
    this.#open.push(...close);
  }

  /** Rejects as the first step does; nothing is open then. */
  async start(): Promise<Info> {
    try {
      return await this.#steps.start();
    } catch (error) {
      this.#stopping ??= this.#close();
      await this.#stopping;
      throw error;
    }
  }

  /** Drains and closes. Once: later calls wait for the first. */
  stop(): Promise<void> {
    this.#stopping ??= this.#drain();
    return this.#stopping;
  }

  async #drain(): Promise<void> {
    await this.#steps.drain?.();
    await this.#close();
  }

  async #close(): Promise<void> {
    for (const close of this.#open.splice(0).reverse()) await close();
    this.#steps.stopped();
  }
}
