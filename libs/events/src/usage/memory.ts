import { type UsageEvent, usageId } from "./event.ts";
import { assertName } from "./name.ts";
import type { FollowOptions, UsageFollower, UsageHandler, UsageLog, UsageLogStats } from "./port.ts";

/** Milliseconds until an event that was not handled comes again. */
const RETRY_MS = 50;

/** What one name of followers has to handle. */
interface Queue {
  readonly tenant: string | undefined;
  /** Index of the next event among all that were ever stored. */
  next: number;
  readonly again: UsageEvent[];
}

/** The events of one process, the last `limit` of them. Logs on one store see the same events. */
export class MemoryUsageStore {
  readonly #limit: number;
  readonly #events: UsageEvent[] = [];
  readonly #ids = new Set<string>();
  readonly #queues = new Map<string, Queue>();
  readonly #waiting = new Set<() => void>();
  /** How many of the oldest are gone. */
  #gone = 0;

  /** @param limit 1 or more; default 10000 */
  constructor(limit: number = 10_000) {
    this.#limit = limit;
  }

  open(): UsageLog {
    return new MemoryUsageLog(this);
  }

  /** @internal */
  store(event: UsageEvent): void {
    const id = usageId(event);
    if (this.#ids.has(id)) return;
    this.#ids.add(id);
    this.#events.push({ ...event });
    if (this.#events.length > this.#limit) {
      const oldest = this.#events.shift();
      if (oldest !== undefined) this.#ids.delete(usageId(oldest));
      this.#gone += 1;
    }
    this.wake();
  }

  /** @internal */
  queue({ name, tenant }: FollowOptions): Queue {
    const queue = this.#queues.get(name) ?? { tenant, next: 0, again: [] };
    this.#queues.set(name, queue);
    return queue;
  }

  /** @internal */
  take(queue: Queue): UsageEvent | undefined {
    const again = queue.again.shift();
    if (again !== undefined) return again;
    queue.next = Math.max(queue.next, this.#gone);
    for (;;) {
      const event = this.#events[queue.next - this.#gone];
      if (event === undefined) return undefined;
      queue.next += 1;
      if (queue.tenant === undefined || queue.tenant === event.tenant) return event;
    }
  }

  /** @internal */
  wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }

  /** Resolves at the next event. @internal */
  more(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }
}

class MemoryUsageLog implements UsageLog {
  readonly #store: MemoryUsageStore;
  readonly #followers = new Set<UsageFollower>();
  readonly #errorListeners = new Set<(error: unknown) => void>();
  #stored = 0;
  #dropped = 0;
  #closed = false;

  constructor(store: MemoryUsageStore) {
    this.#store = store;
  }

  append(event: UsageEvent): void {
    if (this.#closed) {
      this.#dropped += 1;
      return;
    }
    this.#stored += 1;
    this.#store.store(event);
  }

  async flush(): Promise<boolean> {
    return true;
  }

  async follow(options: FollowOptions, handler: UsageHandler): Promise<UsageFollower> {
    assertName(options.name);
    let closed = false;
    const running = this.#run(this.#store.queue(options), handler, () => closed || this.#closed);
    const follower: UsageFollower = {
      close: async () => {
        closed = true;
        this.#followers.delete(follower);
        this.#store.wake();
        await running;
      },
    };
    this.#followers.add(follower);
    return follower;
  }

  stats(): UsageLogStats {
    return { waiting: 0, stored: this.#stored, dropped: this.#dropped, up: !this.#closed };
  }

  onError(listener: (error: unknown) => void): () => void {
    this.#errorListeners.add(listener);
    return () => this.#errorListeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#followers].map((follower) => follower.close()));
  }

  async #run(queue: Queue, handler: UsageHandler, isClosed: () => boolean): Promise<void> {
    while (!isClosed()) {
      const event = this.#store.take(queue);
      if (event === undefined) {
        await this.#store.more();
        continue;
      }
      try {
        await handler({ ...event });
      } catch (error) {
        for (const listener of this.#errorListeners) listener(error);
        queue.again.push(event);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }
}
