import { describe, expect, it } from "vitest";
import { claimOf, entryOf, OTHER_SLOT, SLOT, TTL, take } from "./fleet-samples.ts";
import type { FleetStoreWorld } from "./fleet-store.ts";

const elsewhere = claimOf({ instance: "a1", host: "host-1" });
const stranger = claimOf({ identity: "relay-1", instance: "b0", host: "host-1" });

export function describeLeases(world: () => FleetStoreWorld): void {
  describe("slots", () => {
    it("that nobody had are given to who asks first", async () => {
      const { store, other } = world();
      const taken = await store.acquire(claimOf(), "same-identity", TTL);
      expect(taken).toEqual({ ok: true, lease: { slot: SLOT, epoch: expect.any(Number) } });
      const refused = await other.acquire(stranger, "expired", TTL);
      const holder = { identity: "relay-0", instance: "a0", host: "host-0", epoch: taken.ok && taken.lease.epoch };
      expect(refused).toEqual({ ok: false, holder, expiresInMs: expect.any(Number) });
      expect(refused.ok || refused.expiresInMs).toBeGreaterThan((2 * TTL) / 3);
      expect(refused.ok || refused.expiresInMs).toBeLessThanOrEqual(TTL);
    });

    it("are given to one of many who ask at once", async () => {
      const { store, other } = world();
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          (index % 2 === 0 ? store : other).acquire(
            claimOf({ identity: `relay-${index}`, instance: `i${index}`, host: `host-${index}` }),
            "expired",
            TTL,
          ),
        ),
      );
      expect(results.filter(({ ok }) => ok)).toHaveLength(1);
    });

    it("(a) go to the same identity on the same host at once", async () => {
      const { store, other } = world();
      const old = await take(store);
      const taken = await other.acquire(claimOf({ instance: "a1" }), "same-identity", TTL);
      expect(taken).toMatchObject({ ok: true, previous: { identity: "relay-0", instance: "a0" } });
      expect(taken.ok && taken.lease.epoch).toBeGreaterThan(old.epoch);
    });

    it("(b) go to the same identity on another host once the lease has expired", async () => {
      const { store, other, live } = world();
      await take(store);
      expect(await other.acquire(elsewhere, "same-identity", TTL)).toMatchObject({ ok: false });
      await live((2 * TTL) / 3);
      expect(await other.acquire(elsewhere, "same-identity", TTL)).toMatchObject({ ok: false });
      await live(TTL / 3);
      expect(await other.acquire(elsewhere, "same-identity", TTL)).toMatchObject({ ok: true });
    });

    it("(c) go to another identity once the lease has expired", async () => {
      const { store, other, live } = world();
      await take(store);
      await live((2 * TTL) / 3);
      expect(await other.acquire(stranger, "expired", TTL)).toMatchObject({ ok: false });
      await live(TTL / 3);
      expect(await other.acquire(stranger, "expired", TTL)).toMatchObject({ ok: true, previous: { instance: "a0" } });
    });

    it("are taken over by one of many", async () => {
      const { store, other, live } = world();
      await take(store);
      await live(TTL);
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          (index % 2 === 0 ? store : other).acquire(
            claimOf({ identity: `taker-${index}`, instance: `t${index}`, host: `host-${index}` }),
            "expired",
            TTL,
          ),
        ),
      );
      expect(results.filter(({ ok }) => ok)).toHaveLength(1);
    });

    it("are not given by rule `expired` to a live process's successor", async () => {
      const { store, other } = world();
      await take(store);
      expect(await other.acquire(claimOf({ instance: "a1" }), "expired", TTL)).toMatchObject({ ok: false });
    });

    it("stay with who renews", async () => {
      const { store, other, live } = world();
      const lease = await take(store);
      for (let round = 0; round < 4; round++) {
        await live(TTL / 2);
        expect(await store.renew(entryOf(), [lease], TTL)).toMatchObject({ lost: [], reasserted: [] });
      }
      expect(await other.acquire(stranger, "expired", TTL)).toMatchObject({ ok: false });
    });

    it("are still their owner's after a lapse that nobody used", async () => {
      const { store, other, live } = world();
      const lease = await take(store);
      await live(3 * TTL);
      expect(await store.renew(entryOf(), [{ ...lease, lapsed: true }], TTL)).toMatchObject({
        lost: [],
        reasserted: [],
      });
      expect(await other.acquire(stranger, "expired", TTL)).toMatchObject({ ok: false });
    });

    it("are lost to a newer owner", async () => {
      const { store, other, live } = world();
      const lease = await take(store);
      const second = await take(store, { slot: OTHER_SLOT });
      await live(TTL);
      const taken = await other.acquire(stranger, "expired", TTL);
      expect(await store.renew(entryOf(), [lease, second], TTL)).toMatchObject({ lost: [SLOT], reasserted: [] });
      const owner = entryOf({ identity: "relay-1", instance: "b0", host: "host-1" });
      const held = taken.ok ? [taken.lease] : [];
      expect(await other.renew(owner, held, TTL)).toMatchObject({ lost: [], reasserted: [] });
    });

    it("are lost to a newer process of the same relay", async () => {
      const { store, other } = world();
      const lease = await take(store);
      await take(other, { instance: "a1" });
      expect(await store.renew(entryOf(), [lease], TTL)).toMatchObject({ lost: [SLOT] });
    });

    it("that were released are anyone's, and no longer their owner's", async () => {
      const { store, other } = world();
      const lease = await take(store);
      await store.release(lease, "a0");
      expect(await store.renew(entryOf(), [lease], TTL)).toMatchObject({ lost: [SLOT] });
      const taken = await other.acquire(stranger, "expired", TTL);
      expect(taken).toMatchObject({ ok: true, previous: { identity: "relay-0" } });
      expect(taken.ok && taken.lease.epoch).toBeGreaterThan(lease.epoch);
    });

    it("that were released to one are nobody else's until the lease would have ended", async () => {
      const { store, other, live } = world();
      const [lease, second] = [await take(store), await take(store, { slot: OTHER_SLOT })];
      await store.release(lease, "a0", "relay-1");
      await store.release(second, "a0", "relay-1");
      const third = { identity: "relay-2", instance: "c0", host: "host-2" };
      expect((await other.slots()).every(({ expiresInMs }) => expiresInMs <= 0)).toBe(true);
      expect(await other.acquire(claimOf(third), "expired", TTL)).toMatchObject({ ok: false });
      expect(await other.acquire(stranger, "expired", TTL)).toMatchObject({ ok: true });
      await live(TTL);
      expect(await other.acquire(claimOf({ ...third, slot: OTHER_SLOT }), "expired", TTL)).toMatchObject({ ok: true });
    });

    it("are not released by who does not own them", async () => {
      const { store, other } = world();
      const lease = await take(store);
      await other.release(lease, "b0");
      await other.release({ ...lease, epoch: lease.epoch - 1 }, "a0");
      await other.release({ ...lease, slot: OTHER_SLOT }, "a0");
      expect(await store.renew(entryOf(), [lease], TTL)).toMatchObject({ lost: [] });
      expect(await store.slots()).toHaveLength(1);
    });

    it("are listed with their owners", async () => {
      const { store, other, live } = world();
      const second = await take(store, { slot: OTHER_SLOT });
      const first = await take(store);
      await store.release(second, "a0", "relay-1");
      await live(TTL);
      await store.renew(entryOf(), [first], TTL);
      const owner = { identity: "relay-0", instance: "a0", host: "host-0" };
      const slots = await other.slots();
      expect(slots).toEqual([
        { slot: SLOT, ...owner, epoch: first.epoch, expiresInMs: expect.any(Number) },
        { slot: OTHER_SLOT, ...owner, epoch: second.epoch, expiresInMs: expect.any(Number), releasedTo: "relay-1" },
      ]);
      expect(slots[0]?.expiresInMs).toBeGreaterThan(TTL / 2);
      expect(slots[1]?.expiresInMs).toBeLessThanOrEqual(0);
    });

    it("are forgotten after seven days", async () => {
      const { store, elapse } = world();
      await take(store);
      await elapse(6 * 86_400_000);
      expect(await store.slots()).toHaveLength(1);
      await elapse(86_400_000 + TTL);
      expect(await store.slots()).toEqual([]);
    });
  });

  describe("a store that was emptied", () => {
    it("gets the leases back from their owners, with the epochs they had", async () => {
      const { store, other, flush, live } = world();
      const lease = await take(store);
      const before = await store.renew(entryOf(), [lease], TTL);
      await flush();
      const after = await store.renew(entryOf(), [lease], TTL);
      expect(after).toMatchObject({ lost: [], reasserted: [SLOT] });
      expect(after.generation).not.toBe(before.generation);
      expect(await other.slots()).toMatchObject([{ slot: SLOT, epoch: lease.epoch, instance: "a0" }]);
      await live(TTL / 2);
      const again = await store.renew(entryOf(), [lease], TTL);
      expect(again).toMatchObject({ lost: [], reasserted: [], generation: after.generation });
    });

    it("does not get back leases that had lapsed", async () => {
      const { store, flush } = world();
      const lease = await take(store);
      await flush();
      expect(await store.renew(entryOf(), [{ ...lease, lapsed: true }], TTL)).toMatchObject({ lost: [SLOT] });
      expect(await store.slots()).toEqual([]);
    });

    it("gives no slot to anyone for one lease's time", async () => {
      const { store, other, flush, live } = world();
      await take(store);
      await flush();
      expect(await other.acquire(stranger, "expired", TTL)).toEqual({ ok: false, expiresInMs: expect.any(Number) });
      expect(await other.acquire(elsewhere, "same-identity", TTL)).toMatchObject({ ok: false });
      await live((2 * TTL) / 3);
      expect(await other.acquire(stranger, "expired", TTL)).toMatchObject({ ok: false });
      await live(TTL / 3);
      expect(await other.acquire(stranger, "expired", TTL)).toMatchObject({ ok: true });
    });

    it("gives greater epochs than before", async () => {
      const { store, other, flush, live } = world();
      const lease = await take(store);
      await flush();
      await store.time();
      expect(await other.acquire(stranger, "expired", TTL)).toMatchObject({ ok: false });
      await live(TTL);
      const taken = await other.acquire(stranger, "expired", TTL);
      expect(taken.ok && taken.lease.epoch).toBeGreaterThan(lease.epoch);
      expect(await store.renew(entryOf(), [lease], TTL)).toMatchObject({ lost: [SLOT] });
    });
  });

  describe("a store that nobody asked for a while, or whose clock jumped", () => {
    it("makes others wait until owners could renew, but not the same identity on the same host", async () => {
      const { store, other, elapse, live } = world();
      const lease = await take(store);
      await take(store, { slot: OTHER_SLOT });
      await elapse(30 * TTL);
      expect(await other.acquire(stranger, "expired", TTL)).toMatchObject({ ok: false });
      expect(await other.acquire(elsewhere, "same-identity", TTL)).toMatchObject({ ok: false });
      expect(await other.acquire(claimOf({ slot: OTHER_SLOT, instance: "a1" }), "same-identity", TTL)).toMatchObject({
        ok: true,
      });
      expect(await store.renew(entryOf(), [lease], TTL)).toMatchObject({ lost: [] });
      await live(TTL);
      expect(await other.acquire(stranger, "expired", TTL)).toMatchObject({ ok: true });
    });

    it("does not keep leases longer when the clock was set back", async () => {
      const { store, other, elapse, live } = world();
      const lease = await take(store);
      await elapse(-30 * TTL);
      const refused = await other.acquire(stranger, "expired", TTL);
      expect(refused.ok || refused.expiresInMs).toBeLessThanOrEqual(TTL);
      await live(TTL);
      const taken = await other.acquire(stranger, "expired", TTL);
      expect(taken.ok && taken.lease.epoch).toBeGreaterThan(lease.epoch);
    });
  });

  describe("relays", () => {
    it("are listed as they renewed last", async () => {
      const { store, other } = world();
      const busy = entryOf({ load: { allocations: 9, capacity: 10, draining: true } });
      const bare = {
        identity: "relay-1",
        instance: "b0",
        host: "h",
        turn: [],
        load: busy.load,
        startedAt: 5,
        sentAt: 6,
        contact: [],
      };
      await other.renew(bare, [], TTL);
      await store.renew(entryOf(), [], TTL);
      await store.renew(busy, [], TTL);
      expect((await other.relays()).filter(({ identity }) => identity !== "witness")).toEqual([busy, bare]);
    });

    it("are gone when they do not renew", async () => {
      const { store, other, live } = world();
      await store.renew(entryOf(), [], TTL);
      await live(TTL);
      expect((await other.relays()).map(({ identity }) => identity)).toEqual(["witness"]);
    });

    it("are not replaced by an older process of theirs, which still renews", async () => {
      const { store, other } = world();
      await other.renew(entryOf({ instance: "a1", startedAt: 2_000 }), [], TTL);
      await store.renew(entryOf({ instance: "a0", startedAt: 1_000 }), [], TTL);
      expect(await store.relays()).toMatchObject([{ instance: "a1" }, { identity: "witness" }]);
    });

    it("are taken off by themselves only", async () => {
      const { store, other } = world();
      await store.renew(entryOf(), [], TTL);
      await other.unregister("relay-0", "another");
      expect(await store.relays()).toHaveLength(2);
      await other.unregister("relay-0", "a0");
      await other.unregister("none", "a0");
      expect(await store.relays()).toMatchObject([{ identity: "witness" }]);
    });
  });
}
