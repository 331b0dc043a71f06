import type {
  AdmitResult,
  AllocationRecord,
  FleetStoreCounters,
  FleetWrite,
  ListedRecord,
  QuotaLimits,
  RecordFilter,
  RecordOwner,
  RecordPage,
  WriteResult,
} from "../../fleet/port.ts";
import { decodeCursor, encodeCursor, SLOT_PAGE } from "../../fleet/rules.ts";
import type { RedisLink } from "../link.ts";
import { integer, list, text, texts } from "../reply.ts";
import type { RedisLeases } from "./leases.ts";
import { decodeRow, encodeRecord } from "./record-codec.ts";
import { FLEET_SCRIPTS } from "./scripts.ts";

const WRITE_RESULTS: Readonly<Record<string, WriteResult>> = {
  written: "written",
  // A newer program's record is left as it is; its owner is not the one who writes here.
  newer: "written",
  stale: "stale",
  unleased: "unleased",
  superseded: "superseded",
};

const ADMIT_RESULTS: Readonly<Record<string, AdmitResult>> = {
  granted: { kind: "granted" },
  user: { kind: "refused", quota: "user" },
  tenant: { kind: "refused", quota: "tenant" },
  stale: { kind: "stale" },
  unleased: { kind: "unleased" },
};

/** Ids that were looked at, and what stands there. */
interface Looked {
  readonly records: readonly ListedRecord[];
  /** The last id. Absent: there are no more. */
  readonly last?: string;
}

/** Records of allocations, by everything that they are looked up by. */
export class RedisRecords {
  readonly #link: RedisLink;
  readonly #leases: RedisLeases;
  #newerRecords = 0;
  #unreadableRecords = 0;
  #droppedMembers = 0;

  constructor(link: RedisLink, leases: RedisLeases) {
    this.#link = link;
    this.#leases = leases;
  }

  get counters(): FleetStoreCounters {
    return {
      newerRecords: this.#newerRecords,
      unreadableRecords: this.#unreadableRecords,
      droppedMembers: this.#droppedMembers,
    };
  }

  async admit(record: AllocationRecord, epoch: number, { perUser, perTenant }: QuotaLimits): Promise<AdmitResult> {
    const limits = [perUser ?? "", perTenant ?? ""];
    const reply = await this.#link.run(FLEET_SCRIPTS.admit, epoch, ...limits, ...encodeRecord(record));
    if (typeof reply !== "string") return { kind: "elsewhere", owner: ownerOf(list(reply)) };
    return ADMIT_RESULTS[reply] ?? fail(reply);
  }

  async write(writes: readonly FleetWrite[]): Promise<readonly WriteResult[]> {
    const rows = writes.map((write) =>
      write.kind === "put"
        ? ["put", write.epoch, ...encodeRecord(write.record)]
        : ["delete", write.epoch, write.id, write.slot],
    );
    return (await this.#link.runAll(FLEET_SCRIPTS.write, rows)).map((reply) => {
      if (reply === "newer") this.#newerRecords += 1;
      return WRITE_RESULTS[text(reply)] ?? fail(reply);
    });
  }

  async *recordsOf(slot: string): AsyncGenerator<readonly AllocationRecord[]> {
    let after: string | undefined = "";
    while (after !== undefined) {
      const page: Looked = await this.#page(`i:${slot}`, after, SLOT_PAGE);
      if (page.records.length > 0) yield page.records.map(({ record }) => record);
      after = page.last;
    }
  }

  async get(id: string): Promise<ListedRecord | undefined> {
    const [found] = await this.#fetch([id]);
    return found;
  }

  async byTuple(tuple: string): Promise<RecordOwner | undefined> {
    const reply = list(await this.#link.run(FLEET_SCRIPTS.owner, tuple));
    return reply.length === 0 ? undefined : ownerOf(reply);
  }

  async list(filter: RecordFilter, page: { after?: string | undefined; limit: number }): Promise<RecordPage> {
    const { tenant, user, identity } = filter;
    if (tenant === undefined) return this.#listBySlot(filter, page);
    const { id: after } = decodeCursor(page.after);
    const looked =
      user === undefined
        ? await this.#page(`n:${tenant}`, after, page.limit)
        : await this.#pageOfUser(tenant, user, after, page.limit);
    const records = looked.records.filter((listed) => identity === undefined || listed.identity === identity);
    if (looked.last === undefined) return { records };
    return { records, next: encodeCursor({ slot: "", id: looked.last }) };
  }

  /** Goes through the slots until a page is full, or as many records were looked at. */
  async #listBySlot(
    { user, identity }: RecordFilter,
    page: { after?: string | undefined; limit: number },
  ): Promise<RecordPage> {
    const from = decodeCursor(page.after);
    const states = await this.#leases.slots();
    const slots = states.filter((state) => identity === undefined || state.identity === identity);
    const records: ListedRecord[] = [];
    let left = page.limit;
    for (const { slot } of slots) {
      if (slot < from.slot) continue;
      const after = slot === from.slot ? from.id : "";
      const looked = await this.#page(`i:${slot}`, after, left);
      records.push(...looked.records.filter(({ record }) => user === undefined || record.user === user));
      if (looked.last !== undefined) return { records, next: encodeCursor({ slot, id: looked.last }) };
      left -= looked.records.length;
      if (left <= 0) return { records, next: encodeCursor({ slot: `${slot}!`, id: "" }) };
    }
    return { records };
  }

  async #pageOfUser(tenant: string, user: string, after: string, limit: number): Promise<Looked> {
    const all = texts(await this.#link.run(FLEET_SCRIPTS.idsOfUser, tenant, user));
    const ids = all.filter((id) => id > after).sort();
    const some = ids.slice(0, limit);
    const records = await this.#fetch(some);
    const last = some.at(-1);
    return { records, ...(ids.length > limit && last !== undefined ? { last } : {}) };
  }

  async #page(index: string, after: string, limit: number): Promise<Looked> {
    const [last, dropped, rows] = list(await this.#link.run(FLEET_SCRIPTS.page, index, after, limit));
    this.#droppedMembers += integer(dropped);
    return { records: this.#readable(list(rows)), ...(last === "" ? {} : { last: text(last) }) };
  }

  async #fetch(ids: readonly string[]): Promise<ListedRecord[]> {
    return ids.length === 0 ? [] : this.#readable(list(await this.#link.run(FLEET_SCRIPTS.fetch, ...ids)));
  }

  #readable(rows: readonly unknown[]): ListedRecord[] {
    return rows.flatMap((row) => {
      const { record, identity } = decodeRow(list(row));
      if (record === "newer") this.#newerRecords += 1;
      else if (record === "unreadable") this.#unreadableRecords += 1;
      else return { record, identity };
      return [];
    });
  }
}

function ownerOf([id, slot, identity]: readonly unknown[]): RecordOwner {
  return { id: text(id), slot: text(slot), identity: text(identity) };
}

function fail(reply: unknown): never {
  throw new TypeError(`Redis answered ${JSON.stringify(reply)}`);
}
