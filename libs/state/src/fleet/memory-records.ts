import type { MemoryLeases } from "./memory-leases.ts";
import type {
  AdmitResult,
  AllocationRecord,
  FleetTime,
  FleetWrite,
  ListedRecord,
  QuotaLimits,
  RecordFilter,
  RecordOwner,
  RecordPage,
  WriteResult,
} from "./port.ts";
import { decodeCursor, encodeCursor, expiryOf, RECORD_SLACK_MS } from "./rules.ts";

/** Records of allocations, by everything that they are looked up by. */
export class MemoryRecords {
  readonly #now: () => FleetTime;
  readonly #leases: MemoryLeases;
  readonly #records = new Map<string, AllocationRecord>();
  /** Ids by tuple, user, tenant and slot. */
  readonly #byTuple = new Map<string, string>();
  readonly #groups = new Map<string, Set<string>>();

  constructor(now: () => FleetTime, leases: MemoryLeases) {
    this.#now = now;
    this.#leases = leases;
  }

  flush(): void {
    for (const index of [this.#records, this.#byTuple, this.#groups]) index.clear();
  }

  admit(record: AllocationRecord, epoch: number, { perUser, perTenant }: QuotaLimits): AdmitResult {
    const guard = this.#leases.guard(record.slot, epoch);
    if (guard !== "own") return { kind: guard };
    const rival = this.#rivalOf(record);
    if (rival !== undefined && this.#blocks(rival, record)) return { kind: "elsewhere", owner: this.#ownerOf(rival) };
    const others = (group: string): AllocationRecord[] =>
      this.#live(group).filter(({ id }) => id !== record.id && id !== rival?.id);
    const ofUser = (): AllocationRecord[] => others(userGroup(record)).filter(({ slot }) => !this.#leases.ended(slot));
    if (perUser !== undefined && ofUser().length >= perUser) return { kind: "refused", quota: "user" };
    if (perTenant !== undefined && others(tenantGroup(record)).length >= perTenant) {
      return { kind: "refused", quota: "tenant" };
    }
    if (rival !== undefined) this.#drop(rival);
    this.#put(record);
    return { kind: "granted" };
  }

  write(write: FleetWrite): WriteResult {
    const slot = write.kind === "put" ? write.record.slot : write.slot;
    const guard = this.#leases.guard(slot, write.epoch);
    if (guard !== "own") return guard;
    if (write.kind === "delete") {
      const known = this.get(write.id);
      if (known?.slot === slot) this.#drop(known);
      return "written";
    }
    const rival = this.#rivalOf(write.record);
    if (rival !== undefined && isNewer(rival, write.record)) return "superseded";
    this.#put(write.record);
    return "written";
  }

  get(id: string): AllocationRecord | undefined {
    const record = this.#records.get(id);
    if (record === undefined || expiryOf(record) + RECORD_SLACK_MS > this.#now()) return record;
    this.#drop(record);
    return undefined;
  }

  listed(id: string): ListedRecord | undefined {
    const record = this.get(id);
    return record === undefined ? undefined : { record, identity: this.#ownerOf(record).identity };
  }

  byTuple(tuple: string): RecordOwner | undefined {
    const record = this.get(this.#byTuple.get(tuple) ?? "");
    return record === undefined ? undefined : this.#ownerOf(record);
  }

  /** Ids of the records that a slot guards, in order, from the first one after `after`. */
  idsOf(slot: string, after = ""): string[] {
    return [...(this.#groups.get(slotGroup(slot)) ?? [])].filter((id) => id > after).sort();
  }

  list({ tenant, user, identity }: RecordFilter, page: { after?: string | undefined; limit: number }): RecordPage {
    const from = decodeCursor(page.after);
    const found: ListedRecord[] = [];
    const slots = [...new Set([...this.#records.values()].map(({ slot }) => slot))].filter((slot) => slot >= from.slot);
    for (const slot of slots.sort()) {
      for (const id of this.idsOf(slot, slot === from.slot ? from.id : "")) {
        const listed = this.listed(id);
        if (listed === undefined) continue;
        const { record } = listed;
        if (tenant !== undefined && record.tenant !== tenant) continue;
        if (user !== undefined && record.user !== user) continue;
        if (identity !== undefined && listed.identity !== identity) continue;
        const last = found.at(-1)?.record;
        if (found.length === page.limit && last !== undefined) return { records: found, next: encodeCursor(last) };
        found.push(listed);
      }
    }
    return { records: found };
  }

  /** Another record that the tuple belongs to. */
  #rivalOf(record: AllocationRecord): AllocationRecord | undefined {
    const rival = this.get(this.#byTuple.get(record.tuple) ?? "");
    return rival === undefined || rival.id === record.id ? undefined : rival;
  }

  #blocks(rival: AllocationRecord, record: AllocationRecord): boolean {
    if (expiryOf(rival) <= this.#now()) return false;
    const theirs = this.#leases.owner(rival.slot);
    const ours = this.#leases.owner(record.slot);
    const own = theirs?.identity === ours?.identity && theirs?.instance === ours?.instance;
    return !own && !this.#leases.ended(rival.slot);
  }

  #ownerOf({ id, slot }: AllocationRecord): RecordOwner {
    return { id, slot, identity: this.#leases.owner(slot)?.identity ?? "" };
  }

  #live(group: string): AllocationRecord[] {
    const now = this.#now();
    return [...(this.#groups.get(group) ?? [])].flatMap((id) => {
      const record = this.get(id);
      return record === undefined || expiryOf(record) <= now ? [] : record;
    });
  }

  #put(record: AllocationRecord): void {
    const known = this.#records.get(record.id);
    if (known !== undefined) this.#drop(known);
    this.#records.set(record.id, record);
    this.#byTuple.set(record.tuple, record.id);
    for (const name of groupsOf(record)) {
      const group = this.#groups.get(name) ?? new Set();
      this.#groups.set(name, group.add(record.id));
    }
  }

  #drop(record: AllocationRecord): void {
    this.#records.delete(record.id);
    if (this.#byTuple.get(record.tuple) === record.id) this.#byTuple.delete(record.tuple);
    for (const name of groupsOf(record)) {
      const group = this.#groups.get(name);
      group?.delete(record.id);
      if (group?.size === 0) this.#groups.delete(name);
    }
  }
}

/** Of two records for one tuple the later one holds. */
function isNewer(a: AllocationRecord, b: AllocationRecord): boolean {
  return a.createdAt === b.createdAt ? a.id > b.id : a.createdAt > b.createdAt;
}

const userGroup = ({ tenant, user }: AllocationRecord): string => `user ${tenant} ${user}`;
const tenantGroup = ({ tenant }: AllocationRecord): string => `tenant ${tenant}`;
const slotGroup = (slot: string): string => `slot ${slot}`;
const groupsOf = (record: AllocationRecord): string[] => [
  userGroup(record),
  tenantGroup(record),
  slotGroup(record.slot),
];
