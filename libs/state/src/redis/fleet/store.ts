import type { FleetStore } from "../../fleet/port.ts";
import { RedisLink } from "../link.ts";
import type { RedisOptions } from "../options.ts";
import { RedisLeases } from "./leases.ts";
import { RedisRecords } from "./records.ts";
import { FLEET_SCRIPTS } from "./scripts.ts";

/** A fleet's state in Redis, and the connection to it. */
export interface RedisFleetStore extends FleetStore {
  /** @returns false when Redis does not answer within so many milliseconds; the connection is tried on for ever */
  untilUp(ms: number): Promise<boolean>;
}

/** Connects to Redis, and returns at once: `health` says when it answers. */
export function createRedisFleetStore(options: RedisOptions): RedisFleetStore {
  const link = new RedisLink(options, FLEET_SCRIPTS);
  const leases = new RedisLeases(link);
  const records = new RedisRecords(link, leases);
  return {
    time: () => leases.time(),
    acquire: (claim, rule, ttlMs) => leases.acquire(claim, rule, ttlMs),
    renew: (entry, held, ttlMs) => leases.renew(entry, held, ttlMs),
    release: (lease, instance, to) => leases.release(lease, instance, to),
    slots: () => leases.slots(),
    relays: () => leases.relays(),
    unregister: (identity, instance) => leases.unregister(identity, instance),
    admit: (record, epoch, limits) => records.admit(record, epoch, limits),
    write: (writes) => records.write(writes),
    recordsOf: (slot) => records.recordsOf(slot),
    get: (id) => records.get(id),
    byTuple: (tuple) => records.byTuple(tuple),
    list: (filter, page) => records.list(filter, page),
    health: () => link.health,
    onHealthChange: (listener) => link.onHealthChange(listener),
    counters: () => records.counters,
    close: () => link.close(),
    untilUp: (ms) => link.untilUp(ms),
  };
}
