import type { Output, TurnDropReason, TurnEvent } from "./outputs.ts";

/** Outputs in the order in which they are to be carried out. */
export class OutputQueue {
  #items: Output[] = [];
  #head = 0;

  push(output: Output): void {
    this.#items.push(output);
  }

  event(event: TurnEvent): void {
    this.#items.push(event);
  }

  dropped(reason: TurnDropReason): void {
    this.#items.push({ type: "event", name: "dropped", reason });
  }

  shift(): Output | undefined {
    const output = this.#items[this.#head];
    if (output === undefined) {
      this.#items = [];
      this.#head = 0;
      return undefined;
    }
    this.#head++;
    return output;
  }
}
