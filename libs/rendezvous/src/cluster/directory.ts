import type { EndReason, SessionEntry } from "./entry.ts";

export interface DirectoryRecord {
  readonly entry: SessionEntry;
  /** The replica that has the session. */
  readonly owner: string;
}

/** What a change of the directory means to others. */
export type DirectoryChange =
  | { readonly kind: "join"; readonly room: string; readonly entry: SessionEntry }
  | { readonly kind: "leave"; readonly room: string; readonly entry: SessionEntry; readonly reason: string }
  | { readonly kind: "presence"; readonly entry: SessionEntry; readonly online: boolean };

/** Sets by tenant and name: a look-up cannot leave the tenant. */
class TenantIndex {
  readonly #tenants = new Map<string, Map<string, Set<string>>>();

  add(tenant: string, name: string, id: string): void {
    let names = this.#tenants.get(tenant);
    if (names === undefined) {
      names = new Map();
      this.#tenants.set(tenant, names);
    }
    const ids = names.get(name);
    if (ids === undefined) names.set(name, new Set([id]));
    else ids.add(id);
  }

  delete(tenant: string, name: string, id: string): void {
    const names = this.#tenants.get(tenant);
    const ids = names?.get(name);
    ids?.delete(id);
    if (ids?.size === 0) names?.delete(name);
    if (names?.size === 0) this.#tenants.delete(tenant);
  }

  get(tenant: string, name: string): ReadonlySet<string> {
    return this.#tenants.get(tenant)?.get(name) ?? NOBODY;
  }
}

const NOBODY: ReadonlySet<string> = new Set();

/** All sessions of all replicas, as far as this one has heard. */
export class Directory {
  readonly #records = new Map<string, DirectoryRecord>();
  readonly #byUser = new TenantIndex();
  readonly #byRoom = new TenantIndex();
  readonly #byOwner = new Map<string, Set<string>>();
  readonly #onChange: (change: DirectoryChange) => void;

  constructor(onChange: (change: DirectoryChange) => void) {
    this.#onChange = onChange;
  }

  get size(): number {
    return this.#records.size;
  }

  get(id: string): DirectoryRecord | undefined {
    return this.#records.get(id);
  }

  /** The sessions of a user, longest known first. */
  ofUser(tenant: string, user: string): readonly DirectoryRecord[] {
    return this.#resolve(this.#byUser.get(tenant, user));
  }

  /** The members of a room. */
  inRoom(tenant: string, room: string): readonly DirectoryRecord[] {
    return this.#resolve(this.#byRoom.get(tenant, room));
  }

  ownedBy(owner: string): readonly DirectoryRecord[] {
    return this.#resolve(this.#byOwner.get(owner) ?? NOBODY);
  }

  /** Takes what `owner` says of its session; an older epoch than the known one changes nothing. */
  put(entry: SessionEntry, owner: string): void {
    const before = this.#records.get(entry.id);
    if (before !== undefined && before.entry.epoch > entry.epoch) return;
    if (before !== undefined && (before.entry.tenant !== entry.tenant || before.entry.user !== entry.user)) return;
    this.#setOwner(entry.id, before?.owner, owner);
    this.#records.set(entry.id, { entry, owner });
    if (before === undefined) this.#byUser.add(entry.tenant, entry.user, entry.id);
    this.#moveRooms(before?.entry, entry);
    const old = before?.entry;
    if (old?.status !== entry.status || old.note !== entry.note) {
      this.#onChange({ kind: "presence", entry, online: true });
    }
  }

  /** A session went from one replica to another. Nothing changes for others. */
  move(id: string, from: string, to: string): void {
    const record = this.#records.get(id);
    if (record?.owner !== from) return;
    this.#setOwner(id, from, to);
    this.#records.set(id, { entry: record.entry, owner: to });
  }

  /** Forgets a session that `owner` has; one that has another owner by now stays. */
  remove(id: string, owner: string, reason: EndReason): void {
    const record = this.#records.get(id);
    if (record?.owner !== owner) return;
    const { entry } = record;
    this.#records.delete(id);
    this.#setOwner(id, owner, undefined);
    this.#byUser.delete(entry.tenant, entry.user, id);
    for (const room of entry.rooms) {
      this.#byRoom.delete(entry.tenant, room, id);
      this.#onChange({ kind: "leave", room, entry, reason });
    }
    this.#onChange({ kind: "presence", entry, online: false });
  }

  #moveRooms(before: SessionEntry | undefined, entry: SessionEntry): void {
    const old = new Set(before?.rooms);
    for (const room of entry.rooms) {
      if (old.delete(room)) continue;
      this.#byRoom.add(entry.tenant, room, entry.id);
      this.#onChange({ kind: "join", room, entry });
    }
    for (const room of old) {
      this.#byRoom.delete(entry.tenant, room, entry.id);
      this.#onChange({ kind: "leave", room, entry, reason: "left" });
    }
  }

  #setOwner(id: string, before: string | undefined, after: string | undefined): void {
    if (before === after) return;
    if (before !== undefined) {
      const ids = this.#byOwner.get(before);
      ids?.delete(id);
      if (ids?.size === 0) this.#byOwner.delete(before);
    }
    if (after === undefined) return;
    const ids = this.#byOwner.get(after);
    if (ids === undefined) this.#byOwner.set(after, new Set([id]));
    else ids.add(id);
  }

  #resolve(ids: ReadonlySet<string>): DirectoryRecord[] {
    const records: DirectoryRecord[] = [];
    for (const id of ids) {
      const record = this.#records.get(id);
      if (record !== undefined) records.push(record);
    }
    return records;
  }
}
