import { TurnError } from "@culvert/turn-client";

/** One step of a probe: how long it took, and why it failed if it did. */
export interface Step {
  readonly step: string;
  readonly ok: boolean;
  /** Milliseconds, from the step's start to its end. */
  readonly ms: number;
  readonly detail?: string;
  /** The STUN error code, where the server answered with one. */
  readonly code?: number;
  readonly reason?: string;
}

/** Runs steps one after the other, times each, and stops at the first that fails. */
export class StepRunner {
  readonly steps: Step[] = [];
  readonly #now: () => number;
  readonly #onStep: (step: Step) => void;

  constructor(now: () => number, onStep: (step: Step) => void) {
    this.#now = now;
    this.#onStep = onStep;
  }

  async run<T>(step: string, action: () => Promise<T>, describe?: (result: T) => string): Promise<T> {
    const start = this.#now();
    try {
      const result = await action();
      const detail = describe?.(result);
      this.#add({ step, ok: true, ms: this.#now() - start, ...(detail === undefined ? {} : { detail }) });
      return result;
    } catch (error) {
      this.#add({ step, ok: false, ms: this.#now() - start, ...failure(error) });
      throw new StepFailed(step, { cause: error });
    }
  }

  #add(step: Step): void {
    this.steps.push(step);
    this.#onStep(step);
  }
}

/** A step failed; it is already reported. */
export class StepFailed extends Error {
  override readonly name: string = "StepFailed";
}

function failure(error: unknown): { code?: number; reason: string } {
  if (error instanceof TurnError && error.code !== undefined) return { code: error.code, reason: error.reason };
  return { reason: error instanceof Error ? error.message : String(error) };
}
