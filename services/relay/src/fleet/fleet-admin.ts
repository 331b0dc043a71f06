import type {
  AllocationChange,
  AllocationFilter,
  AllocationPage,
  AllocationStatus,
  PageRequest,
  RelayStatus,
} from "@culvert/contracts";
import type { FleetStore, ListedRecord, RecordFilter, RelayEntry } from "@culvert/state";
import type { Logger } from "@culvert/telemetry";
import { AdminError, type AllocationSink, type AllocationWatch, type RelayAdmin } from "../admin.ts";
import type { Orders } from "./orders.ts";

/** How often watchers are told what happened at other relays, in ms. */
const POLL_MS = 1_000;
const POLL_PAGE = 500;
const SNAPSHOT_PAGE = 200;

export interface FleetAdminOptions {
  readonly identity: string;
  readonly local: RelayAdmin;
  readonly store: FleetStore;
  readonly orders: Orders;
  readonly logger: Logger;
  /** Fleet time. */
  readonly now: () => number;
}

/** {@link RelayAdmin} of the whole fleet: what it shows comes from the store, what it changes is ordered from the owner. */
export class FleetAdmin implements RelayAdmin {
  readonly #options: FleetAdminOptions;
  readonly #watches = new Set<FleetWatch>();

  constructor(options: FleetAdminOptions) {
    this.#options = options;
  }

  async relays(): Promise<readonly RelayStatus[]> {
    const { store } = this.#options;
    const [relays, slots] = await known(Promise.all([store.relays(), store.slots()]));
    return relays.map((entry) =>
      statusOf(
        entry,
        slots.flatMap(({ slot, identity, expiresInMs }) =>
          identity === entry.identity && expiresInMs > 0 ? slot : [],
        ),
      ),
    );
  }

  async list(filter: AllocationFilter, { limit, after }: PageRequest): Promise<AllocationPage> {
    const { store } = this.#options;
    const page = await known(store.list(recordFilter(filter), { limit, after }));
    const allocations = await Promise.all(page.records.map((listed) => this.#current(listed)));
    return {
      allocations,
      ...(page.next === undefined ? {} : { next: page.next }),
    };
  }

  async get(id: string): Promise<AllocationStatus> {
    const { local, store, now } = this.#options;
    const here = await local.get(id).catch(ifNotFound);
    if (here !== undefined) return here;
    const listed = await known(store.get(id));
    if (listed === undefined) throw new AdminError("not-found", `there is no allocation ${id}`);
    return allocationOf(listed, now());
  }

  watch(filter: AllocationFilter, sink: AllocationSink): AllocationWatch {
    const watch = new FleetWatch(this.#options, filter, sink, () => this.#watches.delete(watch));
    this.#watches.add(watch);
    return watch;
  }

  async terminate(id: string): Promise<void> {
    const { local, store, identity, orders } = this.#options;
    const done = await local.terminate(id).then(() => true, ifNotFound);
    if (done === true) return;
    const listed = await known(store.get(id));
    if (listed === undefined || listed.identity === identity) {
      throw new AdminError("not-found", `there is no allocation ${id}`);
    }
    await orders.send(listed.identity, "terminate", id);
  }

  drain(identity: string): Promise<RelayStatus> {
    return this.#order(identity, "drain");
  }

  undrain(identity: string): Promise<RelayStatus> {
    return this.#order(identity, "undrain");
  }

  close(): void {
    for (const watch of [...this.#watches]) watch.end(new AdminError("unavailable", "the relay has stopped"));
  }

  /** What lives here is shown as it is now. */
  async #current(listed: ListedRecord): Promise<AllocationStatus> {
    const { identity, local, now } = this.#options;
    const here = listed.identity === identity ? await local.get(listed.record.id).catch(ifNotFound) : undefined;
    return here ?? allocationOf(listed, now());
  }

  async #order(identity: string, order: "drain" | "undrain"): Promise<RelayStatus> {
    const { local, orders, store, identity: own } = this.#options;
    if (identity === own) return local[order](identity);
    const entry = (await known(store.relays())).find((relay) => relay.identity === identity);
    if (entry === undefined) throw new AdminError("not-found", `there is no relay ${identity}`);
    await orders.send(identity, order, identity);
    return { ...statusOf(entry, []), state: order === "drain" ? "draining" : "serving" };
  }
}

/** One who follows the allocations of all relays: by what the store says, once a second. */
class FleetWatch implements AllocationWatch {
  readonly #options: FleetAdminOptions;
  readonly #filter: RecordFilter;
  readonly #sink: AllocationSink;
  readonly #onEnd: () => void;
  #known = new Map<string, { readonly status: AllocationStatus; readonly mark: string }>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #first = true;

  constructor(options: FleetAdminOptions, filter: AllocationFilter, sink: AllocationSink, onEnd: () => void) {
    this.#options = options;
    this.#filter = recordFilter(filter);
    this.#sink = sink;
    this.#onEnd = onEnd;
    this.#timer = setTimeout(() => void this.#poll(), 0);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#onEnd();
  }

  end(error: AdminError): void {
    if (this.#closed) return;
    this.close();
    this.#sink.onEnd(error);
  }

  async #poll(): Promise<void> {
    try {
      const listed = await this.#all();
      if (this.#closed) return;
      this.#tell(listed);
    } catch (error) {
      // Whoever watches is told when the store is back: all that happened meanwhile is a difference then.
      this.#options.logger.debug({ err: error }, "watchers wait for the store");
    }
    if (!this.#closed) this.#timer = setTimeout(() => void this.#poll(), POLL_MS).unref();
  }

  async #all(): Promise<readonly ListedRecord[]> {
    const { store } = this.#options;
    const all: ListedRecord[] = [];
    let after: string | undefined;
    do {
      const page = await store.list(this.#filter, { limit: POLL_PAGE, after });
      all.push(...page.records);
      after = page.next;
    } while (after !== undefined);
    return all;
  }

  #tell(listed: readonly ListedRecord[]): void {
    const now = this.#options.now();
    const before = this.#known;
    this.#known = new Map(
      listed.map((one) => [one.record.id, { status: allocationOf(one, now), mark: markOf(one) }] as const),
    );
    const all = [...this.#known.values()];
    if (this.#first) {
      this.#first = false;
      for (let at = 0; at === 0 || at < all.length; at += SNAPSHOT_PAGE) {
        const allocations = all.slice(at, at + SNAPSHOT_PAGE).map(({ status }) => status);
        this.#send({ type: "snapshot", allocations, first: at === 0, last: at + SNAPSHOT_PAGE >= all.length });
      }
      return;
    }
    for (const { status, mark } of all) {
      const known = before.get(status.id);
      if (known === undefined) this.#send({ type: "created", allocation: status });
      else if (known.mark !== mark) this.#send({ type: "refreshed", allocation: status });
    }
    for (const { status } of before.values()) {
      if (!this.#known.has(status.id)) this.#send({ type: "deleted", allocation: status, reason: "ended" });
    }
  }

  #send(change: AllocationChange): void {
    if (!this.#closed) this.#sink.onChange(change);
  }
}

/** What a watcher is told of when it changes: counters alone are no news. */
function markOf({ record, identity }: ListedRecord): string {
  const { counters: _, ...rest } = record;
  return JSON.stringify([identity, rest]);
}

function recordFilter({ tenant, user, relay }: AllocationFilter): RecordFilter {
  return {
    ...(tenant === undefined ? {} : { tenant }),
    ...(user === undefined ? {} : { user }),
    ...(relay === undefined ? {} : { identity: relay }),
  };
}

function statusOf({ identity, load, startedAt, turn }: RelayEntry, slots: readonly string[]): RelayStatus {
  const state = load.draining ? "draining" : "serving";
  return { identity, state, startedAt, allocations: load.allocations, capacity: load.capacity, turn, slots };
}

function allocationOf({ record, identity }: ListedRecord, readAt: number): AllocationStatus {
  const { id, tenant, user, username, kid, transport, remote, createdAt, relays, counters } = record;
  return {
    id,
    relay: identity,
    tenant,
    user,
    username,
    ...(kid === undefined ? {} : { kid }),
    transport,
    client: remote,
    createdAt,
    relayed: relays.map(({ relayed, expiresAt, permissions, channels }) => ({
      address: relayed,
      expiresAt,
      permissions,
      channels,
    })),
    traffic: { ...counters, readAt },
  };
}

function ifNotFound(error: unknown): undefined {
  if (error instanceof AdminError && error.code === "not-found") return undefined;
  throw error;
}

async function known<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof AdminError) throw error;
    throw new AdminError("unavailable", "the fleet's state does not answer");
  }
}
