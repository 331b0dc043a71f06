import type { Clock, DataPlane, DataPlaneEvent } from "@culvert/dataplane";
import { outside, within } from "@culvert/tracing";
import type { Ask, DataPlaneCommand, Millis, Output, TurnEvent, TurnServer } from "@culvert/turn";
import type { Context } from "@opentelemetry/api";

/** What goes through the control path, since the start and now. */
export interface ControlLoad {
  readonly batches: number;
  readonly events: number;
  readonly busySeconds: number;
  /** Requests without an answer yet. */
  readonly waiting: number;
  readonly ports: { readonly capacity: number; readonly used: number };
}

/** The longest delay that a timer of Node takes; further deadlines are reached in steps. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/** What a fleet has to say about what goes through the loop. */
export interface ControlHooks {
  /** Whether the event is taken care of; the server is not told of it then. */
  intercept(event: DataPlaneEvent, turn: TurnServer, now: Millis): boolean;
  /** Whether the question will be answered, with `handleAnswer`. */
  ask(ask: Ask): boolean;
  changed(allocation: number): void;
}

export interface ControlLoopOptions {
  readonly turn: TurnServer;
  readonly dataPlane: DataPlane;
  readonly clock: Clock;
  readonly onEvent: (event: TurnEvent) => void;
  readonly hooks?: ControlHooks;
  /** What the server's last output is part of that is being traced. Absent: nothing is. */
  readonly contextOf?: () => Context | undefined;
}

/**
 * Runs a TURN server on a data plane: events become inputs, outputs become one batch of commands, and the server's next
 * deadline becomes a timer.
 */
export class ControlLoop {
  readonly #options: ControlLoopOptions;
  #timer: NodeJS.Timeout | undefined;
  #timerDue: Millis = Number.POSITIVE_INFINITY;
  #flushing = false;
  #stopped = false;
  #batches = 0;
  #events = 0;
  #busyMs = 0;

  constructor(options: ControlLoopOptions) {
    this.#options = options;
    // A socket was opened for somebody; what comes from it is of everybody.
    options.dataPlane.onEvents((events) => outside(() => this.#take(events)));
  }

  /** Hands the server something that does not come from the network, and carries out what follows. */
  run(input: (turn: TurnServer, now: Millis) => void): void {
    if (this.#stopped) return;
    const { clock, turn } = this.#options;
    const now = clock();
    input(turn, now);
    this.#flush(now);
    // What runs inside of another run is part of that one.
    if (!this.#flushing) this.#busyMs += clock() - now;
  }

  get load(): ControlLoad {
    const { waiting, ports } = this.#options.turn;
    return { batches: this.#batches, events: this.#events, busySeconds: this.#busyMs / 1000, waiting, ports };
  }

  /** Nothing is handed to the server or the data plane any more. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #take(events: readonly DataPlaneEvent[]): void {
    this.#batches++;
    this.#events += events.length;
    this.run((turn, now) => {
      const { hooks } = this.#options;
      for (const event of events) {
        if (hooks === undefined || !hooks.intercept(event, turn, now)) deliver(turn, event, now);
      }
    });
  }

  #flush(now: Millis): void {
    // A data plane may report while it carries out a command; the outputs that follow join the batch after this one.
    if (this.#flushing) return;
    this.#flushing = true;
    try {
      for (;;) {
        const commands = this.#collect(now);
        if (commands.length === 0) break;
        this.#options.dataPlane.apply(commands);
      }
    } finally {
      this.#flushing = false;
    }
    this.#schedule();
  }

  #collect(now: Millis): readonly DataPlaneCommand[] {
    const { turn, contextOf } = this.#options;
    const commands: DataPlaneCommand[] = [];
    for (let output = turn.pollOutput(); output !== undefined; output = turn.pollOutput()) {
      if (isCommand(output)) commands.push(output);
      else {
        const told = output;
        const context = contextOf?.();
        if (context === undefined) this.#tell(told, now);
        else within(context, () => this.#tell(told, now));
      }
    }
    return commands;
  }

  #tell(output: Exclude<Output, DataPlaneCommand>, now: Millis): void {
    const { turn, onEvent, hooks } = this.#options;
    if (output.type === "event") onEvent(output);
    else if (output.type === "changed") hooks?.changed(output.allocation);
    // Where nobody answers for others, the server has an answer for that.
    else if (hooks?.ask(output) !== true) turn.handleAnswer(output.id, { kind: "unavailable" }, now);
  }

  #schedule(): void {
    const due = this.#options.turn.pollTimeout();
    if (due === undefined || (this.#timer !== undefined && this.#timerDue <= due)) return;
    clearTimeout(this.#timer);
    this.#timerDue = due;
    const delay = Math.min(Math.max(Math.ceil(due - this.#options.clock()), 0), MAX_DELAY_MS);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      outside(() => this.run((turn, now) => turn.handleTimeout(now)));
    }, delay);
  }
}

function isCommand(output: Output): output is DataPlaneCommand {
  return output.type !== "ask" && output.type !== "changed" && output.type !== "event";
}

function deliver(turn: TurnServer, event: DataPlaneEvent, now: Millis): void {
  switch (event.type) {
    case "client-input":
      turn.handleClientInput(event.client, event.bytes, now);
      break;
    case "peer-input":
      turn.handlePeerInput(event.relay, event.from, event.bytes, now);
      break;
    case "peer-error":
      turn.handlePeerError(event.relay, event.peer, event.icmp, now);
      break;
    case "bound":
      turn.handleBound(event.relay, event.result, now);
      break;
    case "client-closed":
      turn.handleClientClosed(event.client, now);
      break;
  }
}
