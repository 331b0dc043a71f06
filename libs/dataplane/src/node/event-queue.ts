import type { DataPlaneEvent } from "../port.ts";

type Sink = (events: readonly DataPlaneEvent[]) => void;

/** Hands events up once per turn of the event loop, after the sockets that were readable in it have been read. */
export class EventQueue {
  #sink: Sink | undefined;
  #events: DataPlaneEvent[] = [];
  #scheduled = false;

  setSink(sink: Sink): void {
    this.#sink = sink;
  }

  push(event: DataPlaneEvent): void {
    if (this.#sink === undefined) return;
    this.#events.push(event);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.flush);
  }

  /** Nothing is handed up any more. */
  close(): void {
    this.#sink = undefined;
    this.#events = [];
  }

  /** Hands up what waits. */
  readonly flush = (): void => {
    this.#scheduled = false;
    const events = this.#events;
    if (events.length === 0) return;
    this.#events = [];
    this.#sink?.(events);
  };
}
