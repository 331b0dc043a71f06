/** Headers of a message: names and values are printable text without CR or LF. */
export type BusHeaders = Readonly<Record<string, string>>;

export interface BusMessage {
  /** The subject it was published under: without wildcards, also where the subscription has some. */
  readonly subject: string;
  /** The payload. A subscriber may keep it and may write to it: nobody else sees the same bytes. */
  readonly data: Uint8Array;
  readonly headers: BusHeaders;
  /** Present when the publisher used {@link EventBus.request}: answers it. Only the first answer counts. */
  readonly respond?: (data: Uint8Array, headers?: BusHeaders) => void;
}

/**
 * Called for one message after the other, in the order of arrival. What it throws, or rejects with, goes to the bus's
 * error listener and never to the publisher; a returned promise is not waited for.
 */
export type BusHandler = (message: BusMessage) => void | Promise<void>;

export interface SubscribeOptions {
  /** Subscriptions of one pattern and queue name share the messages: each goes to exactly one of them. */
  readonly queue?: string;
}

export interface Subscription {
  readonly pattern: string;
  /** No message is delivered after the call returns. Idempotent. */
  unsubscribe(): void;
}

export interface RequestOptions {
  readonly headers?: BusHeaders;
  /** Milliseconds to wait for the answer; 1 or more. Default 1000. */
  readonly timeoutMs?: number;
}

export interface BusHealth {
  /** False while the bus cannot deliver to other processes. Belongs into readiness, never into liveness. */
  readonly up: boolean;
  /** Why not, in a few words. */
  readonly reason?: string;
}

export type BusErrorCode =
  | "bad-subject"
  | "bad-header"
  | "payload-too-large"
  | "closed"
  | "disconnected"
  | "no-responders"
  | "timeout";

export class BusError extends Error {
  override readonly name = "BusError";
  readonly code: BusErrorCode;

  constructor(code: BusErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * Publish and subscribe between processes, with the subjects of NATS: tokens of printable ASCII joined by `.`; in a
 * pattern `*` stands for one token and a final `>` for one or more. Text that comes from outside goes into a subject
 * only through {@link subjectToken}.
 *
 * Delivery is at most once: what is published while a subscriber is cut off is lost to it. Messages of one publisher
 * arrive at one subscription in the order in which they were published.
 */
export interface EventBus {
  /**
   * Hands a message over and returns; `data` may be reused afterwards. While the bus is down the message may be lost:
   * see {@link health}.
   * @throws BusError `bad-subject`, `bad-header`, `payload-too-large` (more than {@link MAX_PAYLOAD} bytes), `closed`
   */
  publish(subject: string, data: Uint8Array, headers?: BusHeaders): void;

  /**
   * Resolves once the subscription is in effect: every message published afterwards, by anyone, is delivered. The
   * subscriber's own messages are delivered too. Survives a lost connection. While the bus is down it resolves at once, and
   * the subscription is in effect when the bus is up again.
   * @throws BusError `bad-subject`, `closed`
   */
  subscribe(pattern: string, handler: BusHandler, options?: SubscribeOptions): Promise<Subscription>;

  /**
   * Publishes and waits for the first answer.
   * @throws BusError as {@link publish}, and `no-responders` (at once, when nobody is subscribed), `timeout`,
   * `disconnected`
   */
  request(subject: string, data: Uint8Array, options?: RequestOptions): Promise<BusMessage>;

  /** Resolves once all that this bus has published is out of the process. @throws BusError `closed`, `disconnected` */
  flush(): Promise<void>;

  health(): BusHealth;

  /** Calls `listener` at every change between up and down. Returns a function that ends it. */
  onHealthChange(listener: (health: BusHealth) => void): () => void;

  /** Calls `listener` with what handlers throw, and with what the server refuses. Without a listener such errors are dropped. */
  onError(listener: (error: unknown, subject: string) => void): () => void;

  /** Ends all subscriptions; requests under way fail with `closed`. Idempotent. */
  close(): Promise<void>;
}

/** The largest payload in bytes (1 MiB, what a NATS server accepts by default). */
export const MAX_PAYLOAD: number = 1024 * 1024;
