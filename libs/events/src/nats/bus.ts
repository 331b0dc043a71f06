import { randomUUID } from "node:crypto";
import {
  headers as createHeaders,
  errors,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  type Subscription as NatsSubscription,
} from "@nats-io/transport-node";
import {
  BusError,
  type BusHandler,
  type BusHeaders,
  type BusHealth,
  type BusMessage,
  type EventBus,
  MAX_PAYLOAD,
  type RequestOptions,
  type SubscribeOptions,
  type Subscription,
} from "../port.ts";
import { assertHeaders, assertPattern, assertSubject } from "../subject.ts";
import { untilUp } from "../until-up.ts";
import { NatsLink, type NatsOptions } from "./link.ts";
import { observeLink } from "./observer.ts";

interface Entry {
  readonly handler: BusHandler;
  active: boolean;
}

/** One subscription at the server. Handlers of one pattern share it, unless they are in a queue. */
interface Channel {
  readonly pattern: string;
  readonly queue: string | undefined;
  readonly entries: Set<Entry>;
  subscription: NatsSubscription | undefined;
  /** Resolves when the server has it, or when that is up to the next connection. */
  taken: Promise<void>;
}

/**
 * The event bus on NATS. It connects by itself, again and again; subscriptions are in effect again when {@link health} is up
 * again. What is published while it is down is dropped, as every subscriber's part of it would be.
 */
export class NatsBus implements EventBus {
  /** For what else goes over the same connection. @internal */
  readonly link: NatsLink;
  readonly #channels = new Map<string, Channel>();
  readonly #healthListeners = new Set<(health: BusHealth) => void>();
  readonly #errorListeners = new Set<(error: unknown, subject: string) => void>();

  constructor(link: NatsLink) {
    this.link = link;
    link.listen({
      opened: (connection) => {
        for (const channel of this.#channels.values()) this.#attach(channel, connection);
      },
      health: (health) => {
        for (const listener of [...this.#healthListeners]) listener(health);
      },
      refused: (error) => this.#report(error, error instanceof errors.PermissionViolationError ? error.subject : ""),
    });
  }

  publish(subject: string, data: Uint8Array, headers: BusHeaders = {}): void {
    const block = this.#check(subject, data, headers);
    const connection = this.#up();
    connection?.publish(subject, new Uint8Array(data), block);
  }

  async subscribe(pattern: string, handler: BusHandler, options: SubscribeOptions = {}): Promise<Subscription> {
    assertPattern(pattern);
    const { queue } = options;
    if (queue !== undefined) assertSubject(queue);
    this.#requireOpen();
    const key = queue === undefined ? pattern : `${pattern} ${queue} ${randomUUID()}`;
    const entry: Entry = { handler, active: true };
    const channel = this.#channel(key, pattern, queue);
    channel.entries.add(entry);
    await channel.taken;
    return {
      pattern,
      unsubscribe: () => {
        if (!entry.active) return;
        entry.active = false;
        channel.entries.delete(entry);
        if (channel.entries.size > 0) return;
        this.#channels.delete(key);
        if (channel.subscription?.isClosed() === false) channel.subscription.unsubscribe();
      },
    };
  }

  async request(subject: string, data: Uint8Array, options: RequestOptions = {}): Promise<BusMessage> {
    const { headers = {}, timeoutMs = 1000 } = options;
    const block = this.#check(subject, data, headers);
    const connection = this.#up();
    if (connection === undefined) throw new BusError("disconnected", `request to ${subject}: the bus is down`);
    try {
      const answer = await connection.request(subject, new Uint8Array(data), { timeout: timeoutMs, ...block });
      return { subject, data: new Uint8Array(answer.data), headers: plainHeaders(answer.headers) };
    } catch (error) {
      throw this.#requestError(error, subject, timeoutMs);
    }
  }

  async flush(): Promise<void> {
    this.#requireOpen();
    const connection = this.#up();
    if (connection === undefined) throw new BusError("disconnected", "the bus is down");
    try {
      await connection.flush();
    } catch {
      this.#requireOpen();
      throw new BusError("disconnected", "the bus went down");
    }
  }

  health(): BusHealth {
    return this.link.health();
  }

  onHealthChange(listener: (health: BusHealth) => void): () => void {
    this.#healthListeners.add(listener);
    return () => this.#healthListeners.delete(listener);
  }

  onError(listener: (error: unknown, subject: string) => void): () => void {
    this.#errorListeners.add(listener);
    return () => this.#errorListeners.delete(listener);
  }

  /** Resolves when the bus is up, or after `timeoutMs` all the same. Says whether it is. */
  untilUp(timeoutMs: number): Promise<boolean> {
    return untilUp(this, timeoutMs);
  }

  async close(): Promise<void> {
    const channels = [...this.#channels.values()];
    this.#channels.clear();
    for (const { entries } of channels) {
      for (const entry of entries) entry.active = false;
      entries.clear();
    }
    await this.link.close();
  }

  #channel(key: string, pattern: string, queue: string | undefined): Channel {
    const known = this.#channels.get(key);
    if (known !== undefined) return known;
    const channel: Channel = {
      pattern,
      queue,
      entries: new Set(),
      subscription: undefined,
      taken: Promise.resolve(),
    };
    this.#channels.set(key, channel);
    const { connection } = this.link;
    if (connection !== undefined && !connection.isClosed()) this.#attach(channel, connection);
    return channel;
  }

  #attach(channel: Channel, connection: NatsConnection): void {
    channel.subscription = connection.subscribe(channel.pattern, {
      ...(channel.queue === undefined ? {} : { queue: channel.queue }),
      callback: (error, message) => {
        // What the server refused comes as a status of the connection, too.
        if (error === null) this.#deliver(channel, message);
      },
    });
    channel.taken = connection.flush().catch(() => {});
  }

  #deliver({ entries }: Channel, message: Msg): void {
    const { subject, reply } = message;
    for (const entry of [...entries]) {
      if (!entry.active) continue;
      const plain = { subject, data: new Uint8Array(message.data), headers: plainHeaders(message.headers) };
      this.#call(entry.handler, reply ? { ...plain, respond: this.#responder(message, reply) } : plain);
    }
  }

  #responder(message: Msg, reply: string): NonNullable<BusMessage["respond"]> {
    return (data, headers = {}) => {
      checkPayload(message.subject, data, headers, MAX_PAYLOAD);
      assertHeaders(headers);
      this.#up()?.publish(reply, new Uint8Array(data), natsHeaders(headers));
    };
  }

  #call(handler: BusHandler, message: BusMessage): void {
    try {
      const result = handler(message);
      if (result instanceof Promise) result.catch((error: unknown) => this.#report(error, message.subject));
    } catch (error) {
      this.#report(error, message.subject);
    }
  }

  #report(error: unknown, subject: string): void {
    for (const listener of [...this.#errorListeners]) listener(error, subject);
  }

  #requestError(error: unknown, subject: string, timeoutMs: number): unknown {
    if (this.link.closed) return new BusError("closed", "the bus was closed");
    if (error instanceof errors.TimeoutError) {
      return new BusError("timeout", `no answer to ${subject} in ${timeoutMs} ms`);
    }
    if (error instanceof errors.NoRespondersError || (error instanceof errors.RequestError && error.isNoResponders())) {
      return new BusError("no-responders", `nobody is subscribed to ${subject}`);
    }
    return new BusError("disconnected", `request to ${subject}: ${error instanceof Error ? error.message : error}`);
  }

  #check(subject: string, data: Uint8Array, headers: BusHeaders): { readonly headers?: MsgHdrs } {
    assertSubject(subject);
    assertHeaders(headers);
    this.#requireOpen();
    checkPayload(subject, data, headers, this.link.connection?.info?.max_payload ?? MAX_PAYLOAD);
    return natsHeaders(headers);
  }

  #up(): NatsConnection | undefined {
    return this.link.health().up ? this.link.connection : undefined;
  }

  #requireOpen(): void {
    if (this.link.closed) throw new BusError("closed", "the bus is closed");
  }
}

/** Connects to NATS. It returns at once and never fails for the network: see {@link NatsBus.health}. */
export function createNatsBus(options: NatsOptions): NatsBus {
  const link = new NatsLink(options);
  const bus = new NatsBus(link);
  if (options.observer !== undefined) observeLink(link, options.observer);
  link.open();
  return bus;
}

function checkPayload(subject: string, data: Uint8Array, headers: BusHeaders, accepted: number): void {
  // As a header block has it: a line of its own, one a header, and an empty one.
  const lines = Object.entries(headers).map(([name, value]) => name.length + value.length + 4);
  const block = lines.length === 0 ? 0 : lines.reduce((sum, length) => sum + length, 12);
  const most = Math.min(accepted, MAX_PAYLOAD);
  if (data.length + block <= most) return;
  throw new BusError("payload-too-large", `${subject}: ${data.length + block} bytes, at most ${most} go over the bus`);
}

function natsHeaders(headers: BusHeaders): { readonly headers?: MsgHdrs } {
  const entries = Object.entries(headers);
  if (entries.length === 0) return {};
  const block = createHeaders();
  for (const [name, value] of entries) block.set(name, value);
  return { headers: block };
}

function plainHeaders(headers: MsgHdrs | undefined): BusHeaders {
  if (headers === undefined) return {};
  return Object.fromEntries([...headers].map(([name, values]) => [name, values[0] ?? ""]));
}
