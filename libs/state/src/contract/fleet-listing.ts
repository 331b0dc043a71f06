import { beforeEach, describe, expect, it } from "vitest";
import type { FleetWrite, Lease, RecordFilter } from "../fleet/port.ts";
import { expiringAt, idOf, OTHER_SLOT, recordOf, SLOT, TTL, take } from "./fleet-samples.ts";
import type { FleetStoreWorld } from "./fleet-store.ts";

export function describeListing(world: () => FleetStoreWorld): void {
  describe("listing", () => {
    let lease: Lease;
    let theirs: Lease;
    let now: number;
    beforeEach(async () => {
      const { store, other } = world();
      lease = await take(store);
      theirs = await take(other, { slot: OTHER_SLOT, identity: "relay-1", instance: "b0", host: "host-1" });
      now = await store.time();
    });

    const put = (index: number): FleetWrite => {
      const slot = index % 2 === 0 ? SLOT : OTHER_SLOT;
      const names = { tenant: `tenant-${index % 3}`, user: `user-${index % 5}` };
      const record = recordOf(index, now, { slot, slots: [slot], ...names });
      return { kind: "put", record, epoch: (slot === SLOT ? lease : theirs).epoch };
    };
    const fill = (count: number): Promise<unknown> =>
      world().store.write(Array.from({ length: count }, (_, index) => put(index)));

    /** Ids of all pages, as they came. `between` is called after each. */
    const idsOf = async (
      filter: RecordFilter,
      limit: number,
      between: (page: number) => Promise<unknown> = async () => {},
    ): Promise<string[]> => {
      const ids: string[] = [];
      let after: string | undefined;
      for (let page = 0; ; page++) {
        const found = await world().other.list(filter, { after, limit });
        expect(found.records.length).toBeLessThanOrEqual(limit);
        ids.push(...found.records.map(({ record }) => record.id));
        if (found.next === undefined) return ids;
        after = found.next;
        await between(page);
      }
    };
    const expected = (count: number, matches: (index: number) => boolean): string[] =>
      Array.from({ length: count }, (_, index) => index)
        .filter(matches)
        .map(idOf);

    const filters: readonly [string, RecordFilter, (index: number) => boolean][] = [
      ["everything", {}, () => true],
      ["of a tenant", { tenant: "tenant-1" }, (index) => index % 3 === 1],
      ["of a user of a tenant", { tenant: "tenant-1", user: "user-2" }, (index) => index % 15 === 7],
      ["of a user of any tenant", { user: "user-2" }, (index) => index % 5 === 2],
      ["of a relay", { identity: "relay-1" }, (index) => index % 2 === 1],
      ["of a relay and a tenant", { identity: "relay-1", tenant: "tenant-0" }, (index) => index % 6 === 3],
      ["of nobody", { tenant: "none" }, () => false],
      ["of no relay", { identity: "none" }, () => false],
    ];
    it.each(filters)("%s, each once, page by page", async (_, filter, matches) => {
      await fill(60);
      for (const limit of [1, 7, 1000]) {
        expect((await idsOf(filter, limit)).sort()).toEqual(expected(60, matches));
      }
    });

    it.each(filters.slice(0, 6))("%s, whatever comes and goes meanwhile", async (_, filter, matches) => {
      await fill(60);
      const { store } = world();
      const remains = (index: number): boolean => index % 10 !== 0 && matches(index);
      const ids = await idsOf(filter, 3, async (page) => {
        const gone = put(page * 10);
        const fresh = put(60 + page);
        const moved = put((page * 7) % 60);
        if (gone.kind === "delete" || moved.kind === "delete") return;
        const { record, epoch } = gone;
        await store.write([{ kind: "delete", id: record.id, slot: record.slot, epoch }, fresh]);
        if (remains((page * 7) % 60)) {
          await store.write([{ ...moved, record: expiringAt(moved.record, now + 700_000 + page) }]);
        }
      });
      expect(new Set(ids).size).toBe(ids.length);
      expect(ids).toEqual(expect.arrayContaining(expected(60, remains)));
    });

    it("says which relay has each", async () => {
      await fill(2);
      const { records } = await world().store.list({}, { limit: 10 });
      expect(new Map(records.map(({ record, identity }) => [record.id, identity]))).toEqual(
        new Map([
          [idOf(0), "relay-0"],
          [idOf(1), "relay-1"],
        ]),
      );
    });

    it("shows what a dead relay has left, too", async () => {
      const { store, live } = world();
      await fill(4);
      await live(3 * TTL);
      expect((await store.list({ identity: "relay-1" }, { limit: 10 })).records).toHaveLength(2);
    });

    it("starts anew at a position that it never gave", async () => {
      await fill(4);
      expect((await world().store.list({}, { after: "", limit: 10 })).records).toHaveLength(4);
    });
  });
}
