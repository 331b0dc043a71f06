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
} from "./port.ts";
import { assertHeaders, assertPattern, assertSubject, hasWildcard, subjectMatches } from "./subject.ts";

interface Entry {
  readonly owner: MemoryBus;
  readonly pattern: string;
  readonly queue: string | undefined;
  readonly handler: BusHandler;
  active: boolean;
}

interface Parcel {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: BusHeaders;
  readonly respond?: (data: Uint8Array, headers?: BusHeaders) => void;
}

/**
 * The server side of the memory bus: connections of one broker hear each other. Delivery is asynchronous and in the
 * order of publication, as over a network.
 */
export class MemoryBroker {
  readonly #exact = new Map<string, Set<Entry>>();
  readonly #wildcard = new Set<Entry>();
  readonly #turns = new Map<string, number>();
  #pending: { readonly entry: Entry; readonly parcel: Parcel }[] = [];
  #scheduled = false;

  connect(): MemoryBus {
    return new MemoryBus(this);
  }

  /** @internal */
  add(entry: Entry): void {
    if (hasWildcard(entry.pattern)) {
      this.#wildcard.add(entry);
      return;
    }
    const entries = this.#exact.get(entry.pattern);
    if (entries) entries.add(entry);
    else this.#exact.set(entry.pattern, new Set([entry]));
  }

  /** @internal */
  remove(entry: Entry): void {
    entry.active = false;
    this.#wildcard.delete(entry);
    const entries = this.#exact.get(entry.pattern);
    entries?.delete(entry);
    if (entries?.size === 0) this.#exact.delete(entry.pattern);
  }

  /** Queues `parcel` for everyone it concerns and says how many those are. @internal */
  route(parcel: Parcel): number {
    const receivers = this.#receivers(parcel.subject);
    for (const entry of receivers) {
      this.#pending.push({ entry, parcel: { ...parcel, data: new Uint8Array(parcel.data) } });
    }
    if (receivers.length > 0) this.#schedule();
    return receivers.length;
  }

  /** Resolves when all that was routed before is delivered. @internal */
  async settled(): Promise<void> {
    while (this.#pending.length > 0) await new Promise((resolve) => setImmediate(resolve));
  }

  #receivers(subject: string): Entry[] {
    const all: Entry[] = [];
    const groups = new Map<string, Entry[]>();
    const consider = (entry: Entry): void => {
      if (!entry.owner.health().up) return;
      if (entry.queue === undefined) {
        all.push(entry);
        return;
      }
      const group = `${entry.pattern} ${entry.queue}`;
      const members = groups.get(group);
      if (members) members.push(entry);
      else groups.set(group, [entry]);
    };
    for (const entry of this.#exact.get(subject) ?? []) consider(entry);
    for (const entry of this.#wildcard) if (subjectMatches(entry.pattern, subject)) consider(entry);
    for (const [group, members] of groups) {
      const turn = this.#turns.get(group) ?? 0;
      this.#turns.set(group, turn + 1);
      const chosen = members[turn % members.length];
      if (chosen) all.push(chosen);
    }
    return all;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      const batch = this.#pending;
      this.#pending = [];
      for (const { entry, parcel } of batch) if (entry.active) entry.owner.deliver(entry.handler, parcel);
    });
  }
}

/** One connection to a {@link MemoryBroker}. */
export class MemoryBus implements EventBus {
  readonly #broker: MemoryBroker;
  readonly #entries = new Set<Entry>();
  readonly #requests = new Set<(error: BusError) => void>();
  readonly #healthListeners = new Set<(health: BusHealth) => void>();
  readonly #errorListeners = new Set<(error: unknown, subject: string) => void>();
  #connected = true;
  #closed = false;

  constructor(broker: MemoryBroker) {
    this.#broker = broker;
  }

  publish(subject: string, data: Uint8Array, headers: BusHeaders = {}): void {
    this.#check(subject, data, headers);
    if (this.#connected) this.#broker.route({ subject, data, headers: { ...headers } });
  }

  async subscribe(pattern: string, handler: BusHandler, options: SubscribeOptions = {}): Promise<Subscription> {
    assertPattern(pattern);
    this.#requireOpen();
    const entry: Entry = { owner: this, pattern, queue: options.queue, handler, active: true };
    this.#entries.add(entry);
    this.#broker.add(entry);
    return {
      pattern,
      unsubscribe: () => {
        this.#entries.delete(entry);
        this.#broker.remove(entry);
      },
    };
  }

  async request(subject: string, data: Uint8Array, options: RequestOptions = {}): Promise<BusMessage> {
    const { headers = {}, timeoutMs = 1000 } = options;
    this.#check(subject, data, headers);
    if (!this.#connected) throw new BusError("disconnected", `request to ${subject}: the bus is cut off`);
    return await new Promise<BusMessage>((resolve, reject) => {
      const fail = (error: BusError): void => {
        settle();
        reject(error);
      };
      const timer = setTimeout(
        () => fail(new BusError("timeout", `no answer to ${subject} in ${timeoutMs} ms`)),
        timeoutMs,
      );
      const settle = (): void => {
        clearTimeout(timer);
        this.#requests.delete(fail);
      };
      this.#requests.add(fail);
      const respond = (answer: Uint8Array, answerHeaders: BusHeaders = {}): void => {
        checkPayload(subject, answer);
        assertHeaders(answerHeaders);
        const copy = new Uint8Array(answer);
        setImmediate(() => {
          if (!this.#requests.has(fail) || !this.#connected) return;
          settle();
          resolve({ subject, data: copy, headers: { ...answerHeaders } });
        });
      };
      if (this.#broker.route({ subject, data, headers: { ...headers }, respond }) === 0) {
        fail(new BusError("no-responders", `nobody is subscribed to ${subject}`));
      }
    });
  }

  async flush(): Promise<void> {
    this.#requireOpen();
    if (!this.#connected) throw new BusError("disconnected", "the bus is cut off");
    await this.#broker.settled();
  }

  health(): BusHealth {
    if (this.#closed) return { up: false, reason: "closed" };
    return this.#connected ? { up: true } : { up: false, reason: "disconnected" };
  }

  onHealthChange(listener: (health: BusHealth) => void): () => void {
    this.#healthListeners.add(listener);
    return () => this.#healthListeners.delete(listener);
  }

  onError(listener: (error: unknown, subject: string) => void): () => void {
    this.#errorListeners.add(listener);
    return () => this.#errorListeners.delete(listener);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const entry of this.#entries) this.#broker.remove(entry);
    this.#entries.clear();
    for (const fail of [...this.#requests]) fail(new BusError("closed", "the bus was closed"));
    this.#notify();
  }

  /** Cuts this connection off from the broker, or joins it again: what a test does to a network. */
  setConnected(connected: boolean): void {
    if (this.#connected === connected) return;
    this.#connected = connected;
    this.#notify();
  }

  /** @internal */
  deliver(handler: BusHandler, message: BusMessage): void {
    try {
      const result = handler(message);
      if (result instanceof Promise) result.catch((error: unknown) => this.#report(error, message.subject));
    } catch (error) {
      this.#report(error, message.subject);
    }
  }

  #report(error: unknown, subject: string): void {
    for (const listener of this.#errorListeners) listener(error, subject);
  }

  #notify(): void {
    const health = this.health();
    for (const listener of this.#healthListeners) listener(health);
  }

  #check(subject: string, data: Uint8Array, headers: BusHeaders): void {
    assertSubject(subject);
    assertHeaders(headers);
    checkPayload(subject, data);
    this.#requireOpen();
  }

  #requireOpen(): void {
    if (this.#closed) throw new BusError("closed", "the bus is closed");
  }
}

function checkPayload(subject: string, data: Uint8Array): void {
  if (data.length > MAX_PAYLOAD) {
    throw new BusError("payload-too-large", `${subject}: ${data.length} bytes, at most ${MAX_PAYLOAD} go over the bus`);
  }
}

/** A bus of its own, for one process. */
export function createMemoryBus(): MemoryBus {
  return new MemoryBroker().connect();
}
