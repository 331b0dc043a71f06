import { createRedisFleetStore, type RedisFleetStore } from "@culvert/state";
import { type RedisSentinel, startRedisSentinel } from "@culvert/testkit";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { elapsing } from "./support/shift.ts";
import { ENTRY, liveOneLease, recordOf, SLOT, TTL, takeSlot, useEverything } from "./support/short-form.ts";

let group: RedisSentinel;
const stores: RedisFleetStore[] = [];
beforeAll(async () => {
  group = await startRedisSentinel();
}, 60_000);
afterAll(async () => {
  for (const store of stores) await store.close();
  await group?.dispose();
});

async function connect(prefix: string): Promise<RedisFleetStore> {
  const sentinels = group.sentinels.map((address) => ({ host: "127.0.0.1", port: Number(address.split(":")[1]) }));
  const store = createRedisFleetStore({
    server: { kind: "sentinel", sentinels, master: group.master },
    database: 0,
    prefix,
    commandTimeoutMs: 5000,
  });
  stores.push(store);
  expect(await store.untilUp(30_000)).toBe(true);
  return store;
}

const elapsed = (prefix: string) => elapsing(prefix, () => group.masterNow());

test("the store works through Sentinels", async () => {
  await useEverything(await connect("short"), elapsed("short"));
});

test("after a real failover the owner keeps its slot, another waits, and all is published again", async () => {
  const store = await connect("failover");
  const other = await connect("failover");
  const lease = await takeSlot(store, elapsed("failover"));
  const before = await store.renew(ENTRY, [lease], TTL);
  const record = recordOf(1, before.now);
  await store.admit(record, lease.epoch, {});

  const told: boolean[] = [];
  store.onHealthChange(({ up }) => told.push(up));
  await group.failOver();
  const renewed = await vi.waitFor(() => store.renew(ENTRY, [lease], TTL), { timeout: 45_000, interval: 50 });
  expect(told.slice(0, 2)).toEqual([false, true]);
  expect(renewed.generation).not.toBe(before.generation);
  expect(renewed.lost).toEqual([]);
  await other.untilUp(30_000);

  // The owner falls silent here: nobody has the slot before its lease is over and the new master is trusted.
  const claim = { slot: SLOT, identity: "relay-1", instance: "b0", host: "host-1" };
  const refused = await other.acquire(claim, "expired", TTL);
  expect(refused.ok).toBe(false);
  const results = await store.write([{ kind: "put", record, epoch: lease.epoch }]);
  expect(results).toEqual(["written"]);
  await liveOneLease(other, elapsed("failover"), { ...ENTRY, identity: "witness", instance: "w" });
  const taken = await other.acquire(claim, "expired", TTL);
  if (!taken.ok) throw new Error(`not given for ${taken.expiresInMs} ms`);
  expect(taken.lease.epoch).toBeGreaterThan(lease.epoch);
  expect(await store.write([{ kind: "put", record, epoch: lease.epoch }])).toEqual(["stale"]);
}, 60_000);

test("a master that the Sentinels have given up is left, though it still answers", async () => {
  const own = await startRedisSentinel();
  const sentinels = own.sentinels.map((address) => ({ host: "127.0.0.1", port: Number(address.split(":")[1]) }));
  const store = createRedisFleetStore({
    server: { kind: "sentinel", sentinels, master: own.master },
    database: 0,
    prefix: "isolated",
    commandTimeoutMs: 5000,
  });
  try {
    expect(await store.untilUp(30_000)).toBe(true);
    const [old, next] = own.servers;
    const before = await store.renew(ENTRY, [], TTL);
    // The Sentinels and the replica do not get in any more; the store's connection stays.
    await old.command("config", "set", "requirepass", "sesame");
    const asAdmin = (...words: string[]) => old.command("--no-auth-warning", "-a", "sesame", ...words);
    await asAdmin("client", "kill", "type", "replica");
    for (const line of (await asAdmin("client", "list")).split("\n")) {
      const id = /^id=(\d+) .*name=sentinel-/.exec(line)?.[1];
      if (id !== undefined) await asAdmin("client", "kill", "id", id);
    }
    await vi.waitFor(
      async () => {
        expect((await store.renew(ENTRY, [], TTL)).generation).not.toBe(before.generation);
        expect(await next.command("exists", "{isolated}:era")).toBe("1");
        expect(await next.command("role")).toMatch(/^master/);
      },
      { timeout: 60_000, interval: 100 },
    );
    expect(await asAdmin("role")).toMatch(/^master/);
    const entry = await next.command("hget", "{isolated}:relay:relay-0", "i");
    expect(entry).toBe(ENTRY.instance);
  } finally {
    await store.close();
    await own.dispose();
  }
}, 90_000);
