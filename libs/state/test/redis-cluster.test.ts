import { createRedisFleetStore, type RedisFleetStore, StoreUnavailable } from "@culvert/state";
import { type RedisCluster, startRedisCluster } from "@culvert/testkit";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { elapsing } from "./support/shift.ts";
import { ENTRY, recordOf, TTL, takeSlot, useEverything } from "./support/short-form.ts";

let cluster: RedisCluster;
const stores: RedisFleetStore[] = [];
beforeAll(async () => {
  cluster = await startRedisCluster();
}, 60_000);
afterAll(async () => {
  for (const store of stores) await store.close();
  await cluster?.dispose();
});

const elapsed = (prefix: string) => elapsing(prefix, () => cluster.masterOf(`{${prefix}}`));

/** Knows one node at first. */
async function connect(prefix: string): Promise<RedisFleetStore> {
  const [first] = cluster.nodes;
  const store = createRedisFleetStore({
    server: { kind: "cluster", nodes: [{ host: "127.0.0.1", port: first?.port ?? 0 }] },
    database: 0,
    prefix,
    commandTimeoutMs: 5000,
  });
  stores.push(store);
  expect(await store.untilUp(30_000)).toBe(true);
  return store;
}

test.each(["a", "culvert", "x9", "prod.eu-1"])(
  "the store works in a cluster, whichever node has {%s}",
  async (prefix) => {
    await useEverything(await connect(prefix), elapsed(prefix));
  },
);

test("goes on with the replica when the node that has the keys dies", async () => {
  const store = await connect("failover");
  const lease = await takeSlot(store, elapsed("failover"));
  const before = await store.renew(ENTRY, [lease], TTL);
  await store.admit(recordOf(1, before.now), lease.epoch, {});
  const told: boolean[] = [];
  store.onHealthChange(({ up }) => told.push(up));

  let over = false;
  const dying = cluster.failOver("{failover}").finally(() => {
    over = true;
  });
  const renew = () => store.renew(ENTRY, [lease], TTL);
  while (!over) {
    // A machine that is slow may see nothing of it.
    await renew().catch((error: unknown) => expect(error).toBeInstanceOf(StoreUnavailable));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await dying;
  const after = await vi.waitFor(renew, { timeout: 45_000, interval: 50 });
  expect(told).toEqual(told.map((_, index) => index % 2 === 1));
  expect(after.generation).not.toBe(before.generation);
  expect(after.lost).toEqual([]);
  expect(await store.get(recordOf(1, 0).id)).toBeDefined();
}, 60_000);
