import type { Core } from "../core.ts";
import type { Directory } from "./directory.ts";
import type { DeliveryOutcome } from "./frames.ts";
import type { Mesh } from "./mesh.ts";

interface Delivery {
  readonly target: string;
  readonly body: string;
  readonly done: (outcome: "ok" | "gone") => void;
  attempts: number;
  outcome: DeliveryOutcome | undefined;
}

/** What is on its way to one session of another replica. */
interface Lane {
  readonly owner: string;
  /** Sent and not answered, or told to go elsewhere; oldest first. */
  readonly sent: Delivery[];
  /** Came after the session was found to have moved, or to another owner than the lane's. */
  readonly held: Delivery[];
}

/** A session that follows its client from replica to replica faster than this is gone. */
const MAX_ATTEMPTS = 5;

/**
 * Brings messages to sessions, wherever they are, each sender's in order: while messages to the old replica of a
 * session that moved are unanswered, later ones wait.
 */
export class Router {
  readonly #core: Core;
  readonly #directory: Directory;
  readonly #mesh: Mesh;
  readonly #lanes = new Map<string, Lane>();
  readonly #byNumber = new Map<number, { readonly delivery: Delivery; readonly owner: string }>();
  readonly #deliverHere: (target: string, body: string) => "ok" | "gone";

  constructor(
    core: Core,
    directory: Directory,
    mesh: Mesh,
    deliverHere: (target: string, body: string) => "ok" | "gone",
  ) {
    this.#core = core;
    this.#directory = directory;
    this.#mesh = mesh;
    this.#deliverHere = deliverHere;
  }

  /** `done` is called once the message is in the session's outbox, or cannot get there. */
  deliver(target: string, body: string, done: (outcome: "ok" | "gone") => void): void {
    this.#route({ target, body, done, attempts: 0, outcome: undefined });
  }

  handleResult(peer: string, n: number, outcome: DeliveryOutcome): void {
    const sent = this.#byNumber.get(n);
    if (sent === undefined || sent.owner !== peer) return;
    this.#byNumber.delete(n);
    this.#settle(sent.delivery, outcome);
  }

  handleLost(peer: string): void {
    for (const [n, { delivery, owner }] of this.#byNumber) {
      if (owner !== peer) continue;
      this.#byNumber.delete(n);
      this.#settle(delivery, "gone");
    }
  }

  #route(delivery: Delivery): void {
    const { target } = delivery;
    const lane = this.#lanes.get(target);
    const owner = this.#directory.get(target)?.owner;
    if (
      lane !== undefined &&
      (lane.owner !== owner || lane.held.length > 0 || lane.sent.some(({ outcome }) => outcome === "moved"))
    ) {
      lane.held.push(delivery);
      return;
    }
    delivery.attempts++;
    if (owner === undefined || delivery.attempts > MAX_ATTEMPTS) delivery.done("gone");
    else if (owner === this.#core.self) delivery.done(this.#deliverHere(target, delivery.body));
    else this.#send(owner, delivery);
  }

  #send(owner: string, delivery: Delivery): void {
    const n = this.#core.number();
    if (!this.#mesh.send(owner, { op: "deliver", n, id: delivery.target, body: delivery.body })) {
      delivery.done("gone");
      return;
    }
    delivery.outcome = undefined;
    this.#byNumber.set(n, { delivery, owner });
    const lane = this.#lanes.get(delivery.target);
    if (lane === undefined) this.#lanes.set(delivery.target, { owner, sent: [delivery], held: [] });
    else lane.sent.push(delivery);
  }

  #settle(delivery: Delivery, outcome: DeliveryOutcome): void {
    delivery.outcome = outcome;
    const lane = this.#lanes.get(delivery.target);
    if (lane === undefined) return;
    if (outcome !== "moved") {
      lane.sent.splice(lane.sent.indexOf(delivery), 1);
      delivery.done(outcome);
    }
    if (lane.sent.some((other) => other.outcome === undefined)) return;
    this.#lanes.delete(delivery.target);
    for (const next of [...lane.sent, ...lane.held]) this.#route(next);
  }
}
