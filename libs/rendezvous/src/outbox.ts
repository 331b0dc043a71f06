import { utf8Length } from "./json.ts";

export interface QueuedMessage {
  readonly seq: number;
  /** The encoded message without `v`, `seq` and `ack`. */
  readonly body: string;
}

/** What a client was sent, or will be, and has not acknowledged. */
export class Outbox {
  readonly #maxMessages: number;
  readonly #maxBytes: number;
  #queue: { readonly seq: number; readonly body: string; readonly bytes: number }[] = [];
  #bytes = 0;
  #lastSeq: number;
  #acked: number;

  /** `acked` and `messages` continue the outbox of another replica. */
  constructor(maxMessages: number, maxBytes: number, acked = 0, messages: readonly string[] = []) {
    this.#maxMessages = maxMessages;
    this.#maxBytes = maxBytes;
    this.#acked = acked;
    this.#lastSeq = acked;
    for (const body of messages) this.#append(body);
  }

  /** The highest sequence number given out. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** All up to here is acknowledged. */
  get acked(): number {
    return this.#acked;
  }

  /** Queues one message; undefined if that is one too many. */
  push(body: string): QueuedMessage | undefined {
    const bytes = utf8Length(body);
    if (this.#queue.length >= this.#maxMessages || this.#bytes + bytes > this.#maxBytes) return undefined;
    return this.#append(body);
  }

  /** Takes a cumulative acknowledgement; false if it is for a message that was never sent. */
  acknowledge(seq: number): boolean {
    if (seq > this.#lastSeq) return false;
    if (seq <= this.#acked) return true;
    const done = this.#queue.splice(0, seq - this.#acked);
    for (const message of done) this.#bytes -= message.bytes;
    this.#acked = seq;
    return true;
  }

  /** What waits for an acknowledgement beyond `seq`, oldest first. */
  after(seq: number): readonly QueuedMessage[] {
    return this.#queue.slice(Math.max(0, seq - this.#acked));
  }

  #append(body: string): QueuedMessage {
    this.#lastSeq++;
    const bytes = utf8Length(body);
    this.#queue.push({ seq: this.#lastSeq, body, bytes });
    this.#bytes += bytes;
    return { seq: this.#lastSeq, body };
  }
}
