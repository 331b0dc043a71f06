import type { Hub, HubOutput } from "@culvert/rendezvous";

/** Runs a hub: feeds it, takes what comes out, and wakes it when it asked to be. */
export class HubLoop {
  readonly #hub: Hub;
  readonly #clock: () => number;
  readonly #perform: (output: HubOutput) => void;
  readonly #waiting: ((hub: Hub, now: number) => void)[] = [];
  #running = false;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(hub: Hub, clock: () => number, perform: (output: HubOutput) => void) {
    this.#hub = hub;
    this.#clock = clock;
    this.#perform = perform;
  }

  /** An action that comes while another is performed waits for its turn. */
  run(action: (hub: Hub, now: number) => void): void {
    if (this.#stopped) return;
    this.#waiting.push(action);
    if (this.#running) return;
    this.#running = true;
    try {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
        next(this.#hub, this.#clock());
        for (let output = this.#hub.pollOutput(); output !== undefined; output = this.#hub.pollOutput()) {
          this.#perform(output);
        }
      }
    } finally {
      this.#running = false;
    }
    this.#arm();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #arm(): void {
    clearTimeout(this.#timer);
    const at = this.#hub.pollTimeout();
    if (at === undefined || this.#stopped) return;
    const delay = Math.min(Math.max(0, at - this.#clock()), 2 ** 31 - 1);
    this.#timer = setTimeout(() => this.run((hub, now) => hub.handleTimeout(now)), Math.ceil(delay));
  }
}
