import { outside } from "@culvert/tracing";
import type { Answer } from "@culvert/turn";
import type { ControlLoop } from "../control-loop.ts";

/** Hands the TURN server what was asked of others: all that came in one read together. */
export class Answers {
  readonly #loop: Pick<ControlLoop, "run">;
  #waiting: (readonly [id: number, answer: Answer])[] = [];

  constructor(loop: Pick<ControlLoop, "run">) {
    this.#loop = loop;
  }

  add(id: number, answer: Answer): void {
    // They are of many requests: of none of their traces.
    if (this.#waiting.push([id, answer]) === 1) outside(() => queueMicrotask(() => this.#hand()));
  }

  #hand(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#loop.run((turn, now) => {
      for (const [id, answer] of waiting) turn.handleAnswer(id, answer, now);
    });
  }
}
