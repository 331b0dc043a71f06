import { inSpan, traceHeaders, within } from "@culvert/tracing";
import {
  AckPolicy,
  type ConsumerMessages,
  DeliverPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamClient,
  type JsMsg,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from "@nats-io/jetstream";
import { headers as createHeaders, type MsgHdrs, type NatsConnection, nanos } from "@nats-io/transport-node";
import { type Context, context, SpanKind } from "@opentelemetry/api";
import { subjectToken } from "../subject.ts";
import { spanOf } from "../traced.ts";
import { decodeUsageEvent, encodeUsageEvent, type UsageEvent, usageId } from "../usage/event.ts";
import { assertName } from "../usage/name.ts";
import { UsageOutbox } from "../usage/outbox.ts";
import type { FollowOptions, UsageFollower, UsageHandler, UsageLog, UsageLogStats } from "../usage/port.ts";
import type { NatsBus } from "./bus.ts";

export const USAGE_STREAM = "CULVERT_USAGE";
const ROOT = "culvert.usage";

export interface NatsUsageLogOptions {
  /** Events that may wait to be stored. Default 100000, some 50 MB. */
  readonly limit?: number;
  /** For a stream that has to be made; one that is there is taken as it is. */
  readonly stream?: {
    /** Copies over the servers of the cluster, 1 to 5. Default 1. */
    readonly replicas?: number;
    /** Seconds that events are kept. Default 30 days. */
    readonly maxAge?: number;
    /** Bytes that events may take; the oldest go first. Default: no limit. */
    readonly maxBytes?: number;
  };
}

/** Events on their way to the server at once. */
const WINDOW = 256;
const ACK_MS = 2000;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 2000;
/** Milliseconds until an event that was not handled comes again, and until one of a dead follower does. */
const NAK_MS = 200;
const ACK_WAIT_MS = 30_000;
/** Milliseconds in which an event that is sent twice is stored once. */
const DUPLICATES_MS = 10 * 60_000;

const subjectOf = (tenant: string): string => `${ROOT}.${subjectToken(tenant)}`;

class NatsUsageLog implements UsageLog {
  readonly #bus: NatsBus;
  readonly #options: NatsUsageLogOptions;
  readonly #outbox: UsageOutbox;
  readonly #followers = new Set<UsageFollower>();
  readonly #errorListeners = new Set<(error: unknown) => void>();
  readonly #empty = new Set<() => void>();
  readonly #stopListening: () => void;
  /** What the events are part of that are being traced. */
  readonly #traces = new WeakMap<UsageEvent, Context>();
  /** The connection that is known to have the stream, and its client. */
  #ready: { readonly connection: NatsConnection; readonly client: JetStreamClient } | undefined;
  #preparing: Promise<JetStreamClient | undefined> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #failures = 0;
  #stored = 0;
  #late = 0;
  #problem: string | undefined = "not connected yet";
  #closed = false;

  constructor(bus: NatsBus, options: NatsUsageLogOptions) {
    this.#bus = bus;
    this.#options = options;
    this.#outbox = new UsageOutbox(options.limit ?? 100_000);
    this.#stopListening = bus.onHealthChange(({ up, reason }) => {
      if (up) this.#again(0);
      else this.#problem = reason;
    });
    this.#pump();
  }

  append(event: UsageEvent): void {
    if (this.#closed) {
      this.#late += 1;
      return;
    }
    this.#outbox.add(event);
    if (traceHeaders() !== undefined) this.#traces.set(event, context.active());
    this.#pump();
  }

  async flush(timeoutMs: number): Promise<boolean> {
    if (this.#outbox.size === 0) return true;
    return await new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#empty.delete(done);
        resolve(this.#outbox.size === 0);
      };
      const timer = setTimeout(done, timeoutMs);
      this.#empty.add(done);
    });
  }

  async follow(options: FollowOptions, handler: UsageHandler): Promise<UsageFollower> {
    assertName(options.name);
    const follower = new Follower({
      options,
      handler,
      client: () => this.#client(),
      report: (error) => this.#report(error),
      onClose: () => this.#followers.delete(follower),
    });
    this.#followers.add(follower);
    return follower;
  }

  stats(): UsageLogStats {
    const up = this.#problem === undefined && !this.#closed;
    return {
      waiting: this.#outbox.size,
      stored: this.#stored,
      dropped: this.#outbox.dropped + this.#late,
      up,
      ...(up ? {} : { reason: this.#problem ?? "closed" }),
    };
  }

  onError(listener: (error: unknown) => void): () => void {
    this.#errorListeners.add(listener);
    return () => this.#errorListeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#stopListening();
    for (const done of [...this.#empty]) done();
    await Promise.all([...this.#followers].map((follower) => follower.close()));
  }

  /** Sends what waits, as much at once as may be on its way. */
  #pump(): void {
    if (this.#closed || this.#retry !== undefined || !this.#bus.health().up) return;
    const { connection } = this.#bus.link;
    if (this.#ready === undefined || this.#ready.connection !== connection) {
      void this.#client().then((client) => client !== undefined && this.#pump());
      return;
    }
    const { client } = this.#ready;
    while (this.#outbox.taken < WINDOW) {
      const event = this.#outbox.take();
      if (event === undefined) return;
      void this.#store(client, event);
    }
  }

  async #store(client: JetStreamClient, event: UsageEvent): Promise<void> {
    try {
      const subject = subjectOf(event.tenant);
      // Whoever had an event stored before is no cause of this one.
      await within(this.#traces.get(event), () =>
        inSpan(spanOf("send", ROOT, SpanKind.PRODUCER), () =>
          client.publish(subject, encodeUsageEvent(event), {
            msgID: usageId(event),
            expect: { streamName: USAGE_STREAM },
            timeout: ACK_MS,
            ...tracedBlock(),
          }),
        ),
      );
    } catch (error) {
      this.#outbox.putBack(event);
      this.#failed(error);
      return;
    }
    this.#outbox.done(event);
    this.#stored += 1;
    this.#failures = 0;
    this.#problem = undefined;
    if (this.#outbox.size === 0) for (const done of [...this.#empty]) done();
    this.#pump();
  }

  #failed(error: unknown): void {
    this.#problem = error instanceof Error ? error.message : String(error);
    // The stream may be gone, with the files of a server that was replaced.
    this.#ready = undefined;
    if (this.#retry !== undefined) return;
    const delay = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(this.#failures, 10));
    this.#failures += 1;
    this.#again(delay);
  }

  #again(delayMs: number): void {
    clearTimeout(this.#retry);
    if (this.#closed) return;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#pump();
    }, delayMs);
  }

  /** A client whose stream is there; undefined while that cannot be had. */
  async #client(): Promise<JetStreamClient | undefined> {
    const { connection } = this.#bus.link;
    if (this.#closed || connection === undefined || !this.#bus.health().up) return undefined;
    if (this.#ready?.connection === connection) return this.#ready.client;
    this.#preparing ??= this.#prepare(connection).finally(() => {
      this.#preparing = undefined;
    });
    return this.#preparing;
  }

  async #prepare(connection: NatsConnection): Promise<JetStreamClient | undefined> {
    try {
      const client = jetstream(connection, { timeout: ACK_MS });
      await this.#ensureStream(connection);
      this.#ready = { connection, client };
      this.#problem = undefined;
      return client;
    } catch (error) {
      this.#failed(error);
      return undefined;
    }
  }

  async #ensureStream(connection: NatsConnection): Promise<void> {
    const manager = await jetstreamManager(connection, { timeout: ACK_MS, checkAPI: false });
    try {
      await manager.streams.info(USAGE_STREAM);
      return;
    } catch (error) {
      if (!(error instanceof JetStreamApiError) || error.code !== JetStreamApiCodes.StreamNotFound) throw error;
    }
    const { replicas = 1, maxAge = 30 * 86_400, maxBytes = -1 } = this.#options.stream ?? {};
    await manager.streams.add({
      name: USAGE_STREAM,
      subjects: [`${ROOT}.>`],
      retention: RetentionPolicy.Limits,
      storage: StorageType.File,
      num_replicas: replicas,
      max_age: nanos(maxAge * 1000),
      max_bytes: maxBytes,
      duplicate_window: nanos(Math.min(DUPLICATES_MS, maxAge * 1000)),
    });
  }

  #report(error: unknown): void {
    for (const listener of [...this.#errorListeners]) listener(error);
  }
}

/** The header block that has the context of what is being traced. The id of the message joins it there. */
function tracedBlock(): { readonly headers?: MsgHdrs } {
  const trace = traceHeaders();
  if (trace === undefined) return {};
  const headers = createHeaders();
  for (const [name, value] of Object.entries(trace)) headers.set(name, value);
  return { headers };
}

interface FollowerOptions {
  readonly options: FollowOptions;
  readonly handler: UsageHandler;
  readonly client: () => Promise<JetStreamClient | undefined>;
  readonly report: (error: unknown) => void;
  readonly onClose: () => void;
}

/** Pulls events from a durable consumer of the stream, whatever happens to the connection. */
class Follower implements UsageFollower {
  readonly #options: FollowerOptions;
  readonly #running: Promise<void>;
  #messages: ConsumerMessages | undefined;
  #wake: () => void = () => {};
  #closed = false;

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#options.onClose();
    this.#wake();
    this.#messages?.stop();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      try {
        const client = await this.#options.client();
        if (client !== undefined) await this.#consume(client);
      } catch (error) {
        if (!this.#closed) this.#options.report(error);
      }
      if (!this.#closed) await this.#pause();
    }
  }

  async #consume(client: JetStreamClient): Promise<void> {
    const { name, tenant } = this.#options.options;
    const manager = await client.jetstreamManager(false);
    await manager.consumers.add(USAGE_STREAM, {
      durable_name: name,
      ack_policy: AckPolicy.Explicit,
      deliver_policy: DeliverPolicy.All,
      ack_wait: nanos(ACK_WAIT_MS),
      filter_subject: tenant === undefined ? `${ROOT}.>` : subjectOf(tenant),
    });
    const consumer = await client.consumers.get(USAGE_STREAM, name);
    if (this.#closed) return;
    const messages = await consumer.consume({ max_messages: 64, expires: 5000 });
    this.#messages = messages;
    if (this.#closed) messages.stop();
    for await (const message of messages) {
      if (this.#closed) message.nak();
      else await this.#handle(message);
    }
  }

  async #handle(message: JsMsg): Promise<void> {
    const event = decodeUsageEvent(message.data);
    if (event === undefined) {
      message.term();
      this.#options.report(new Error(`${message.subject}: message ${message.seq} is no usage event of this version`));
      return;
    }
    try {
      await this.#options.handler(event);
      message.ack();
    } catch (error) {
      message.nak(NAK_MS);
      this.#options.report(error);
    }
  }

  /** Until the next attempt, or the end. */
  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, NAK_MS);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/**
 * The usage log on JetStream: stream {@link USAGE_STREAM}, subjects `culvert.usage.<tenant token>`, stored once by
 * `Nats-Msg-Id`. It needs the bus for as long as it is open, and does not close it.
 */
export function createNatsUsageLog(bus: NatsBus, options: NatsUsageLogOptions = {}): UsageLog {
  return new NatsUsageLog(bus, options);
}
