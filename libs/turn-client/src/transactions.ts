import type { StunMessage } from "@culvert/stun";
import { TurnError } from "./errors.ts";
import type { Timers } from "./timers.ts";

/** RFC 8489 section 6.2.1: the first retransmission time-out, in milliseconds. */
export const RTO_MS = 500;
/** RFC 8489 section 6.2.1: how often a request is sent. */
const RC = 7;
/** RFC 8489 section 6.2.1: the wait after the last transmission, in RTOs. */
const RM = 16;
/** RFC 8489 sections 6.2.1 and 6.2.2: how long a transaction lasts on any transport, 39.5 s in milliseconds. */
export const TI_MS: number = RTO_MS * (2 ** (RC - 1) - 1 + RM);

export interface Transaction {
  readonly id: Uint8Array;
  readonly step: string;
  /** Over a reliable transport the request is sent once. */
  readonly reliable: boolean;
  /** Ends the wait earlier than RFC 8489 does, in milliseconds. */
  readonly timeoutMs: number;
  transmit(): void;
  /** Undefined takes the response; a text is why it does not count, as if it had not come. */
  refuse(response: StunMessage): string | undefined;
}

interface Pending {
  readonly transaction: Transaction;
  readonly resolve: (response: StunMessage) => void;
  readonly reject: (error: TurnError) => void;
  readonly cancels: Set<() => void>;
  /** Why the last response was refused. */
  refusal: string | undefined;
}

const keyOf = (id: Uint8Array): string => Buffer.from(id.buffer, id.byteOffset, id.length).toString("hex");

/** Requests that wait for their responses, with the retransmissions of RFC 8489 section 6.2. */
export class Transactions {
  readonly #timers: Timers;
  readonly #pending = new Map<string, Pending>();

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /**
   * Sends a request until there is a response, a success or an error.
   *
   * @throws TurnError `timeout`, or what `failAll` was given
   */
  run(transaction: Transaction): Promise<StunMessage> {
    return new Promise((resolve, reject) => {
      const pending: Pending = { transaction, resolve, reject, cancels: new Set(), refusal: undefined };
      this.#pending.set(keyOf(transaction.id), pending);
      this.#schedule(pending, Math.min(transaction.timeoutMs, TI_MS), () => this.#timeOut(pending));
      this.#transmit(pending, 1);
    });
  }

  /** Gives a response to its request. False when no request waits for it. */
  settle(response: StunMessage): boolean {
    const pending = this.#pending.get(keyOf(response.transactionId));
    if (!pending) return false;
    pending.refusal = pending.transaction.refuse(response);
    if (pending.refusal !== undefined) return true;
    this.#forget(pending);
    pending.resolve(response);
    return true;
  }

  /** Ends all requests that wait. */
  failAll(make: (step: string) => TurnError): void {
    for (const pending of [...this.#pending.values()]) {
      this.#forget(pending);
      pending.reject(make(pending.transaction.step));
    }
  }

  #transmit(pending: Pending, count: number): void {
    pending.transaction.transmit();
    if (pending.transaction.reliable || count === RC) return;
    this.#schedule(pending, RTO_MS * 2 ** (count - 1), () => this.#transmit(pending, count + 1));
  }

  #timeOut(pending: Pending): void {
    this.#forget(pending);
    const { step, timeoutMs } = pending.transaction;
    const silence = `no answer within ${Math.min(timeoutMs, TI_MS)} ms`;
    const reason = pending.refusal === undefined ? silence : `${silence} that counts: ${pending.refusal}`;
    pending.reject(new TurnError({ kind: "timeout", step, reason }));
  }

  #schedule(pending: Pending, delayMs: number, callback: () => void): void {
    const cancel = this.#timers.schedule(delayMs, () => {
      pending.cancels.delete(cancel);
      callback();
    });
    pending.cancels.add(cancel);
  }

  #forget(pending: Pending): void {
    this.#pending.delete(keyOf(pending.transaction.id));
    for (const cancel of pending.cancels) cancel();
    pending.cancels.clear();
  }
}
