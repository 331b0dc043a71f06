import type { Deadline, Deadlines } from "./deadlines.ts";
import type { ClientTuple, Millis } from "./io.ts";
import type { OutputQueue } from "./output-queue.ts";
import type { Answer, Question } from "./outputs.ts";
import { transactionKey, tupleKey } from "./tuple.ts";

interface Waiting {
  readonly tuple: string;
  readonly transaction: string;
  readonly expiry: Deadline;
  /** Without an answer: the time is up. */
  readonly resume: (answer: Answer | undefined, now: Millis) => void;
}

export interface AskLimits {
  readonly pendingRequests: number;
  readonly askTimeoutMs: number;
}

/** Requests that wait for what another process decides. */
export class Asks {
  readonly #limits: AskLimits;
  readonly #out: OutputQueue;
  readonly #deadlines: Deadlines;
  readonly #waiting = new Map<number, Waiting>();
  readonly #transactions = new Set<string>();
  #lastId = 0;

  constructor(limits: AskLimits, out: OutputQueue, deadlines: Deadlines) {
    this.#limits = limits;
    this.#out = out;
    this.#deadlines = deadlines;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Whether this very transaction waits already. */
  has(client: ClientTuple, transactionId: Uint8Array): boolean {
    return this.#transactions.size > 0 && this.#transactions.has(transactionKey(client, transactionId));
  }

  /** Asks. `resume` is called once, unless the client goes away before. Undefined when too many wait already. */
  ask(
    question: Question,
    client: ClientTuple,
    transactionId: Uint8Array,
    now: Millis,
    resume: (answer: Answer | undefined, now: Millis) => void,
  ): number | undefined {
    if (this.#waiting.size >= this.#limits.pendingRequests) return undefined;
    const id = ++this.#lastId;
    const deadline = now + this.#limits.askTimeoutMs;
    const transaction = transactionKey(client, transactionId);
    const expiry = this.#deadlines.add(deadline, (at) => this.handleAnswer(id, undefined, at));
    this.#waiting.set(id, { tuple: tupleKey(client), transaction, expiry, resume });
    this.#transactions.add(transaction);
    this.#out.push({ type: "ask", id, question, deadline });
    return id;
  }

  /** An answer that comes too late, or twice, does nothing. */
  handleAnswer(id: number, answer: Answer | undefined, now: Millis): void {
    const waiting = this.#remove(id);
    waiting?.resume(answer?.kind === "unavailable" ? undefined : answer, now);
  }

  /** Forgets a question. */
  cancel(id: number | undefined): void {
    if (id !== undefined) this.#remove(id);
  }

  /** Forgets what a client asked for. */
  cancelClient(client: ClientTuple): void {
    const tuple = tupleKey(client);
    for (const [id, waiting] of this.#waiting) {
      if (waiting.tuple === tuple) this.#remove(id);
    }
  }

  #remove(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return undefined;
    this.#waiting.delete(id);
    this.#transactions.delete(waiting.transaction);
    this.#deadlines.remove(waiting.expiry);
    return waiting;
  }
}
