import { beforeEach, describe, expect, it } from "vitest";
import type { Lease } from "../fleet/port.ts";
import { entryOf, expiringAt, idOf, OTHER_SLOT, recordOf, SLOT, TTL, take } from "./fleet-samples.ts";
import type { FleetStoreWorld } from "./fleet-store.ts";

const user = { kind: "refused", quota: "user" };
const tenant = { kind: "refused", quota: "tenant" };

export function describeQuotas(world: () => FleetStoreWorld): void {
  describe("quotas", () => {
    let lease: Lease;
    let theirs: Lease;
    let now: number;
    beforeEach(async () => {
      const { store, other } = world();
      lease = await take(store);
      theirs = await take(other, { slot: OTHER_SLOT, identity: "relay-1", instance: "b0", host: "host-1" });
      now = await store.time();
    });

    it("of users hold over all relays", async () => {
      const { store, other } = world();
      const limits = { perUser: 2 };
      expect(await store.admit(recordOf(1, now), lease.epoch, limits)).toEqual({ kind: "granted" });
      expect(await other.admit(recordOf(2, now, { slot: OTHER_SLOT }), theirs.epoch, limits)).toEqual({
        kind: "granted",
      });
      expect(await store.admit(recordOf(3, now), lease.epoch, limits)).toEqual(user);
      expect(await store.get(idOf(3))).toBeUndefined();
      expect(await store.admit(recordOf(4, now, { user: "bob" }), lease.epoch, limits)).toEqual({ kind: "granted" });
      expect(await store.admit(recordOf(5, now, { tenant: "umbrella" }), lease.epoch, limits)).toEqual({
        kind: "granted",
      });
      expect(await store.admit(recordOf(3, now), lease.epoch, { perUser: 0 })).toEqual(user);
    });

    it("of tenants hold over all users", async () => {
      const { store } = world();
      const limits = { perTenant: 2 };
      await store.admit(recordOf(1, now), lease.epoch, limits);
      await store.admit(recordOf(2, now, { user: "bob" }), lease.epoch, limits);
      expect(await store.admit(recordOf(3, now, { user: "carol" }), lease.epoch, limits)).toEqual(tenant);
      expect(await store.admit(recordOf(4, now, { tenant: "umbrella" }), lease.epoch, limits)).toEqual({
        kind: "granted",
      });
    });

    it("are exact under concurrency", async () => {
      const { store, other } = world();
      const results = await Promise.all(
        Array.from({ length: 200 }, (_, index) => {
          const limits = { perUser: 7, perTenant: 20 };
          const name = { user: `user-${index % 4}` };
          return index % 2 === 0
            ? store.admit(recordOf(index, now, name), lease.epoch, limits)
            : other.admit(recordOf(index, now, { ...name, slot: OTHER_SLOT }), theirs.epoch, limits);
        }),
      );
      expect(results.filter(({ kind }) => kind === "granted")).toHaveLength(20);
      const { records } = await store.list({ tenant: "acme" }, { limit: 1000 });
      expect(records).toHaveLength(20);
      for (const name of ["user-0", "user-1", "user-2", "user-3"]) {
        expect(records.filter(({ record }) => record.user === name).length).toBeLessThanOrEqual(7);
      }
    });

    it("get back what was deleted, and count what was written without being asked", async () => {
      const { store } = world();
      const limits = { perUser: 1, perTenant: 1 };
      await store.write([{ kind: "put", record: recordOf(1, now), epoch: lease.epoch }]);
      expect(await store.admit(recordOf(2, now), lease.epoch, limits)).toEqual(user);
      await store.write([{ kind: "delete", id: idOf(1), slot: SLOT, epoch: lease.epoch }]);
      expect(await store.admit(recordOf(2, now), lease.epoch, limits)).toEqual({ kind: "granted" });
    });

    it("get back what expired, by themselves", async () => {
      const { store, live } = world();
      const limits = { perUser: 1, perTenant: 1 };
      await store.admit(expiringAt(recordOf(1, now), now + TTL / 3), lease.epoch, limits);
      expect(await store.admit(recordOf(2, now), lease.epoch, limits)).toEqual(user);
      await live(TTL / 3);
      expect(await store.admit(recordOf(2, now), lease.epoch, limits)).toEqual({ kind: "granted" });
    });

    it("count until an expiry that was moved", async () => {
      const { store, live } = world();
      const limits = { perUser: 1 };
      const record = expiringAt(recordOf(1, now), now + TTL / 3);
      await store.admit(record, lease.epoch, limits);
      await store.write([{ kind: "put", record: expiringAt(record, now + TTL), epoch: lease.epoch }]);
      await live(TTL / 3);
      expect(await store.admit(recordOf(2, now), lease.epoch, limits)).toEqual(user);
      await store.renew(entryOf(), [lease], TTL);
      await live((2 * TTL) / 3);
      expect(await store.admit(recordOf(2, now), lease.epoch, limits)).toEqual({ kind: "granted" });
    });

    it("do not count what gives way to the new allocation", async () => {
      const { store } = world();
      const limits = { perUser: 1, perTenant: 1 };
      await store.admit(recordOf(1, now), lease.epoch, limits);
      const again = recordOf(2, now, { tuple: recordOf(1, now).tuple });
      expect(await store.admit(again, lease.epoch, limits)).toEqual({ kind: "granted" });
      expect(await store.get(idOf(1))).toBeUndefined();
    });

    it("do not count a user's allocations on relays that have ended", async () => {
      const { store, other, live } = world();
      const limits = { perUser: 1 };
      await store.admit(recordOf(1, now), lease.epoch, limits);
      const next = recordOf(2, now, { slot: OTHER_SLOT });
      expect(await other.admit(next, theirs.epoch, limits)).toEqual(user);
      await live(TTL);
      expect(await other.admit(next, theirs.epoch, limits)).toEqual({ kind: "granted" });
      expect(await store.get(idOf(1))).toBeDefined();
    });
  });
}
