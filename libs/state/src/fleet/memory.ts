import { StoreUnavailable } from "../store-unavailable.ts";
import { MemoryLeases } from "./memory-leases.ts";
import { MemoryRecords } from "./memory-records.ts";
import type { AllocationRecord, FleetStore, FleetTime, StoreHealth } from "./port.ts";
import { SLOT_PAGE } from "./rules.ts";

/** A fleet's state that lives and dies with the process. */
export interface MemoryFleet {
  connect(): FleetStore;
  /** Cuts a connection off, or joins it again. */
  setConnected(store: FleetStore, connected: boolean): void;
  /** Forgets everything. */
  flush(): void;
  /** As if another server had taken over, with all the data. */
  failOver(): void;
}

/** @param now milliseconds since the Unix epoch */
export function createMemoryFleet(now: () => FleetTime): MemoryFleet {
  const time = (): FleetTime => Math.floor(now());
  const leases = new MemoryLeases(time);
  const records = new MemoryRecords(time, leases);
  const links = new WeakMap<FleetStore, (connected: boolean) => void>();

  return {
    connect() {
      const { store, setConnected } = connect(time, leases, records);
      links.set(store, setConnected);
      return store;
    },
    setConnected: (store, connected) => links.get(store)?.(connected),
    flush() {
      leases.flush();
      records.flush();
    },
    failOver: () => leases.failOver(),
  };
}

function connect(
  now: () => FleetTime,
  leases: MemoryLeases,
  records: MemoryRecords,
): { readonly store: FleetStore; readonly setConnected: (connected: boolean) => void } {
  let health: StoreHealth = { up: true };
  const listeners = new Set<(health: StoreHealth) => void>();
  const setHealth = (next: StoreHealth): void => {
    if (next.up === health.up) return;
    health = next;
    for (const listener of [...listeners]) listener(health);
  };
  const ask = async <T>(answer: () => T): Promise<T> => {
    if (!health.up) throw new StoreUnavailable(health.reason);
    return answer();
  };
  async function* recordsOf(slot: string): AsyncGenerator<readonly AllocationRecord[]> {
    let after = "";
    for (;;) {
      const ids = (await ask(() => records.idsOf(slot, after))).slice(0, SLOT_PAGE);
      const page = ids.flatMap((id) => records.get(id) ?? []);
      if (page.length > 0) yield page;
      if (ids.length < SLOT_PAGE) return;
      after = ids.at(-1) ?? "";
    }
  }

  const store: FleetStore = {
    time: () => ask(now),
    acquire: (claim, rule, ttlMs) => ask(() => leases.acquire(claim, rule, ttlMs)),
    renew: (entry, held, ttlMs) => ask(() => leases.renew(entry, held, ttlMs)),
    release: (lease, instance, to) => ask(() => leases.release(lease, instance, to)),
    slots: () => ask(() => leases.slots()),
    relays: () => ask(() => leases.relays()),
    unregister: (identity, instance) => ask(() => leases.unregister(identity, instance)),
    admit: (record, epoch, limits) => ask(() => records.admit(record, epoch, limits)),
    write: (writes) => ask(() => writes.map((write) => records.write(write))),
    recordsOf,
    get: (id) => ask(() => records.listed(id)),
    byTuple: (tuple) => ask(() => records.byTuple(tuple)),
    list: (filter, page) => ask(() => records.list(filter, page)),
    health: () => health,
    onHealthChange(listener) {
      // A function of its own for each call: one listener may listen twice.
      const own = (next: StoreHealth): void => listener(next);
      listeners.add(own);
      return () => listeners.delete(own);
    },
    counters: () => ({ newerRecords: 0, unreadableRecords: 0, droppedMembers: 0 }),
    async close() {
      setHealth({ up: false, reason: "closed" });
      listeners.clear();
    },
  };
  return { store, setConnected: (up) => setHealth(up ? { up } : { up, reason: "cut off" }) };
}
