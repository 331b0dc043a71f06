import { beforeEach, describe, expect, it } from "vitest";
import type { FleetWrite, Lease } from "../fleet/port.ts";
import { all, claimOf, entryOf, expiringAt, idOf, OTHER_SLOT, recordOf, SLOT, TTL, take } from "./fleet-samples.ts";
import type { FleetStoreWorld } from "./fleet-store.ts";

const stranger = { identity: "relay-1", instance: "b0", host: "host-1" };

export function describeRecords(world: () => FleetStoreWorld): void {
  describe("records", () => {
    let lease: Lease;
    let now: number;
    beforeEach(async () => {
      lease = await take(world().store);
      now = await world().store.time();
    });

    it("are read as they were admitted, by every relay", async () => {
      const { store, other } = world();
      const record = recordOf(1, now, {
        user: "älice {}*%\n",
        reservations: [
          {
            token: "AAECAwQFBgc",
            local: { ip: "10.0.0.10", port: 49_153 },
            relayed: { ip: "203.0.113.7", port: 49_153 },
            expiresAt: now + 30_000,
          },
        ],
      });
      const bare = recordOf(2, now, { claims: {} });
      const { kid: _, ticketNumber: __, ...least } = bare;
      expect(await store.admit(record, lease.epoch, {})).toEqual({ kind: "granted" });
      expect(await store.admit(least, lease.epoch, {})).toEqual({ kind: "granted" });
      expect(await other.get(record.id)).toEqual({ record, identity: "relay-0" });
      expect(await other.get(least.id)).toEqual({ record: least, identity: "relay-0" });
      expect(await other.get("none")).toBeUndefined();
      expect(await all(other.recordsOf(SLOT))).toEqual([record, least]);
      expect(await all(other.recordsOf(OTHER_SLOT))).toEqual([]);
    });

    it("are found by tuple", async () => {
      const { store, other } = world();
      const record = recordOf(1, now);
      await store.admit(record, lease.epoch, {});
      const owner = { id: record.id, slot: SLOT, identity: "relay-0" };
      expect(await other.byTuple(record.tuple)).toEqual(owner);
      expect(await other.byTuple("udp x 192.0.2.1:1")).toBeUndefined();
    });

    it("belong to the relay that has their slot now", async () => {
      const { store, other, live } = world();
      const record = recordOf(1, now);
      await store.admit(record, lease.epoch, {});
      await live(TTL);
      await other.acquire(claimOf(stranger), "expired", TTL);
      expect(await store.byTuple(record.tuple)).toMatchObject({ identity: "relay-1" });
      expect(await store.get(record.id)).toMatchObject({ identity: "relay-1" });
    });

    it("are written anew, and found by what they say then", async () => {
      const { store, other } = world();
      const record = recordOf(1, now);
      await store.admit(record, lease.epoch, {});
      const moved = { ...record, tuple: "udp 203.0.113.7:3478 192.0.2.9:9" };
      expect(await store.write([{ kind: "put", record: moved, epoch: lease.epoch }])).toEqual(["written"]);
      expect((await other.get(record.id))?.record).toEqual(moved);
      expect(await other.byTuple(record.tuple)).toBeUndefined();
      expect(await other.byTuple(moved.tuple)).toMatchObject({ id: record.id });
      expect(await all(other.recordsOf(SLOT))).toEqual([moved]);
    });

    it("are written though they were never admitted", async () => {
      const { store, other } = world();
      const record = recordOf(1, now);
      expect(await store.write([{ kind: "put", record, epoch: lease.epoch }])).toEqual(["written"]);
      expect(await other.byTuple(record.tuple)).toMatchObject({ id: record.id });
      expect((await other.list({ tenant: "acme" }, { limit: 10 })).records).toHaveLength(1);
    });

    it("are deleted with all that leads to them, and may be deleted twice", async () => {
      const { store, other } = world();
      const record = recordOf(1, now);
      await store.admit(record, lease.epoch, {});
      const gone: FleetWrite = { kind: "delete", id: record.id, slot: SLOT, epoch: lease.epoch };
      expect(await store.write([gone, gone])).toEqual(["written", "written"]);
      expect(await other.get(record.id)).toBeUndefined();
      expect(await other.byTuple(record.tuple)).toBeUndefined();
      expect(await all(other.recordsOf(SLOT))).toEqual([]);
      expect(await other.list({ tenant: "acme" }, { limit: 10 })).toEqual({ records: [] });
    });

    it("leave to another what has become another's", async () => {
      const { store, other } = world();
      const [first, second] = [recordOf(1, now), recordOf(2, now, { tuple: recordOf(1, now).tuple })];
      await store.admit(first, lease.epoch, {});
      await store.write([
        { kind: "put", record: { ...first, tuple: "moved" }, epoch: lease.epoch },
        { kind: "put", record: second, epoch: lease.epoch },
        { kind: "delete", id: first.id, slot: SLOT, epoch: lease.epoch },
      ]);
      expect(await other.byTuple(second.tuple)).toMatchObject({ id: second.id });
    });

    it("are written in the order that they are given in, each with its own result", async () => {
      const { store } = world();
      const results = await store.write([
        { kind: "put", record: recordOf(1, now), epoch: lease.epoch },
        { kind: "put", record: recordOf(2, now, { slot: OTHER_SLOT }), epoch: lease.epoch },
        { kind: "put", record: recordOf(3, now), epoch: lease.epoch - 1 },
        { kind: "delete", id: idOf(1), slot: SLOT, epoch: lease.epoch },
        { kind: "put", record: recordOf(4, now), epoch: lease.epoch },
      ]);
      expect(results).toEqual(["written", "unleased", "stale", "written", "written"]);
      expect((await all(store.recordsOf(SLOT))).map(({ id }) => id)).toEqual([idOf(4)]);
      expect(await store.write([])).toEqual([]);
    });

    it("of a slot come in pages, each once", async () => {
      const { store, other } = world();
      const records = Array.from({ length: 600 }, (_, index) => recordOf(index, now));
      await store.write(records.map((record) => ({ kind: "put", record, epoch: lease.epoch })));
      const ids: string[] = [];
      let pages = 0;
      for await (const page of other.recordsOf(SLOT)) {
        pages += 1;
        ids.push(...page.map(({ id }) => id));
        await store.write([{ kind: "delete", id: idOf(pages), slot: SLOT, epoch: lease.epoch }]);
      }
      expect(pages).toBeGreaterThan(1);
      expect(ids).toEqual(records.map(({ id }) => id));
    });

    it("are there until a minute after the allocation's end, and then gone by themselves", async () => {
      const { store, elapse } = world();
      const record = expiringAt(recordOf(1, now), now + 30_000);
      await store.admit(record, lease.epoch, {});
      await elapse(30_000);
      expect(await store.get(record.id)).toBeDefined();
      expect(await all(store.recordsOf(SLOT))).toHaveLength(1);
      await elapse(60_000);
      expect(await store.get(record.id)).toBeUndefined();
      expect(await store.byTuple(record.tuple)).toBeUndefined();
      expect(await all(store.recordsOf(SLOT))).toEqual([]);
      expect(await store.list({ tenant: "acme" }, { limit: 10 })).toEqual({ records: [] });
      expect(await store.list({ tenant: "acme", user: "alice" }, { limit: 10 })).toEqual({ records: [] });
    });

    it("live longer with each write", async () => {
      const { store, elapse } = world();
      const record = expiringAt(recordOf(1, now), now + 30_000);
      await store.admit(record, lease.epoch, {});
      await store.write([{ kind: "put", record: expiringAt(record, now + 600_000), epoch: lease.epoch }]);
      await elapse(500_000);
      expect(await store.byTuple(record.tuple)).toBeDefined();
      expect((await store.list({ tenant: "acme" }, { limit: 10 })).records).toHaveLength(1);
    });
  });

  describe("writes with a stale epoch are refused", () => {
    const kinds = ["admit", "put", "delete"] as const;
    const causes = ["taken over", "taken by the next process", "released", "emptied and taken over"] as const;
    it.each(kinds.flatMap((kind) => causes.map((cause) => [kind, cause] as const)))("%s, %s", async (kind, cause) => {
      const { store, other, live, flush } = world();
      const lease = await take(store);
      const now = await store.time();
      const record = recordOf(1, now);
      await store.admit(record, lease.epoch, {});
      if (cause === "released") await store.release(lease, "a0");
      else if (cause === "taken by the next process") await take(other, { instance: "a1" });
      else {
        if (cause === "emptied and taken over") {
          await flush();
          await other.renew(entryOf(stranger), [], TTL);
        }
        await live(TTL);
        const taken = await other.acquire(claimOf(stranger), "expired", TTL);
        if (taken.ok) await other.write([{ kind: "put", record, epoch: taken.lease.epoch }]);
      }
      const results = {
        admit: () => store.admit(recordOf(2, now), lease.epoch, {}),
        put: () => store.write([{ kind: "put", record: { ...record, user: "eve" }, epoch: lease.epoch }]),
        delete: () => store.write([{ kind: "delete", id: record.id, slot: SLOT, epoch: lease.epoch }]),
      };
      expect(await results[kind]()).toEqual(kind === "admit" ? { kind: "stale" } : ["stale"]);
      expect(await other.get(record.id)).toMatchObject({ record });
      expect(await all(other.recordsOf(SLOT))).toHaveLength(1);
    });

    it("and asked to wait for the lease where it is gone from the store", async () => {
      const { store, flush } = world();
      const lease = await take(store);
      const record = recordOf(1, await store.time());
      await flush();
      expect(await store.admit(record, lease.epoch, {})).toEqual({ kind: "unleased" });
      const put: FleetWrite = { kind: "put", record, epoch: lease.epoch };
      expect(await store.write([put])).toEqual(["unleased"]);
      await store.renew(entryOf(), [lease], TTL);
      expect(await store.write([put])).toEqual(["written"]);
    });
  });

  describe("a tuple", () => {
    let lease: Lease;
    let theirs: Lease;
    let now: number;
    beforeEach(async () => {
      const { store, other } = world();
      lease = await take(store);
      theirs = await take(other, { ...stranger, slot: OTHER_SLOT });
      now = await store.time();
    });
    const inOther = (index: number, of: number, createdAt = now): ReturnType<typeof recordOf> =>
      recordOf(index, now, { slot: OTHER_SLOT, slots: [OTHER_SLOT], tuple: recordOf(of, now).tuple, createdAt });

    it("has one allocation in the fleet", async () => {
      const { store, other } = world();
      await store.admit(recordOf(1, now), lease.epoch, {});
      expect(await other.admit(inOther(2, 1), theirs.epoch, {})).toEqual({
        kind: "elsewhere",
        owner: { id: idOf(1), slot: SLOT, identity: "relay-0" },
      });
      expect(await other.get(idOf(2))).toBeUndefined();
    });

    it("is admitted once, when many relays get its request", async () => {
      const { store, other } = world();
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          index % 2 === 0
            ? store.admit(recordOf(index, now, { tuple: "one" }), lease.epoch, {})
            : other.admit(recordOf(index, now, { slot: OTHER_SLOT, tuple: "one" }), theirs.epoch, {}),
        ),
      );
      const winner = await store.byTuple("one");
      const winners = results.filter(({ kind }) => kind === "granted").length;
      // The same relay knows what it has, so that its own later request takes the place of its earlier one.
      expect(winners).toBe(10);
      const parity = Number(winner?.id.at(-1)) % 2;
      expect(results.every(({ kind }, index) => kind === (index % 2 === parity ? "granted" : "elsewhere"))).toBe(true);
      expect((await store.list({ tenant: "acme" }, { limit: 100 })).records).toHaveLength(1);
    });

    it("is admitted again to the same record", async () => {
      const { store } = world();
      const record = recordOf(1, now);
      await store.admit(record, lease.epoch, { perUser: 1 });
      expect(await store.admit(record, lease.epoch, { perUser: 1 })).toEqual({ kind: "granted" });
      expect(await all(store.recordsOf(SLOT))).toEqual([record]);
    });

    it("is free when its allocation has expired, or its relay has ended", async () => {
      const { store, other, live } = world();
      await store.admit(expiringAt(recordOf(1, now), now + TTL / 3), lease.epoch, {});
      await store.admit(recordOf(2, now), lease.epoch, {});
      await live(TTL / 3);
      expect(await other.admit(inOther(3, 1), theirs.epoch, {})).toEqual({ kind: "granted" });
      expect(await other.admit(inOther(4, 2), theirs.epoch, {})).toMatchObject({ kind: "elsewhere" });
      await live((2 * TTL) / 3);
      expect(await other.admit(inOther(4, 2), theirs.epoch, {})).toEqual({ kind: "granted" });
      expect(await store.get(idOf(1))).toBeUndefined();
      expect(await store.get(idOf(2))).toBeUndefined();
      expect(await all(store.recordsOf(SLOT))).toEqual([]);
    });

    it("is not free while owners may still renew after a pause of the store", async () => {
      const { store, other, elapse } = world();
      await store.admit(recordOf(1, now), lease.epoch, {});
      await elapse(3 * TTL);
      expect(await other.admit(inOther(2, 1), theirs.epoch, {})).toMatchObject({ kind: "elsewhere" });
      await other.renew(entryOf(stranger), [theirs], TTL);
      expect(await other.admit(inOther(2, 1), theirs.epoch, {})).toMatchObject({ kind: "elsewhere" });
    });

    it("stays with its later allocation when both are written", async () => {
      const { store, other } = world();
      const [older, later] = [recordOf(1, now), inOther(2, 1, now + 5)];
      const writeOlder: FleetWrite = { kind: "put", record: older, epoch: lease.epoch };
      expect(await store.write([writeOlder])).toEqual(["written"]);
      expect(await other.write([{ kind: "put", record: later, epoch: theirs.epoch }])).toEqual(["written"]);
      expect(await store.write([writeOlder])).toEqual(["superseded"]);
      expect(await store.byTuple(older.tuple)).toMatchObject({ id: later.id, identity: "relay-1" });
    });
  });
}
