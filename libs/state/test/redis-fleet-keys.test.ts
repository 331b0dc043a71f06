import { createRedisFleetStore, type Lease, type RedisFleetStore } from "@culvert/state";
import { type RedisServer, startRedis } from "@culvert/testkit";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { shiftTime } from "./support/shift.ts";
import { ENTRY, recordOf, SLOT, takeSlot } from "./support/short-form.ts";

const CONNECTIONS = 8;

let server: RedisServer;
let admin: Redis;
let stores: RedisFleetStore[];
let store: RedisFleetStore;
let lease: Lease;
let now: number;

beforeAll(async () => {
  server = await startRedis();
  admin = new Redis({ port: server.port });
  const connect = () =>
    createRedisFleetStore({
      server: { kind: "standalone", host: "127.0.0.1", port: server.port },
      database: 0,
      prefix: "culvert",
      commandTimeoutMs: 5000,
    });
  store = connect();
  stores = [store, ...Array.from({ length: CONNECTIONS - 1 }, connect)];
  for (const each of stores) expect(await each.untilUp(15_000)).toBe(true);
});
afterAll(async () => {
  for (const each of stores ?? []) await each.close();
  admin?.disconnect();
  await server?.dispose();
});
beforeEach(async () => {
  await admin.flushall();
  lease = await takeSlot(store, (ms) => shiftTime(admin, "culvert", ms));
  await store.renew(ENTRY, [lease], 600_000);
  now = await store.time();
});

const keys = async (pattern = ":*"): Promise<string[]> => (await admin.keys(`{culvert}${pattern}`)).sort();
const fleetKeys = [
  "{culvert}:era",
  "{culvert}:relay:relay-0",
  "{culvert}:relays",
  `{culvert}:slot:${SLOT}`,
  "{culvert}:slots",
];

test("200 admissions at once over eight connections never exceed a quota", async () => {
  for (const [round, limits] of [{ perUser: 13 }, { perTenant: 13 }, { perUser: 13, perTenant: 50 }].entries()) {
    const results = await Promise.all(
      Array.from({ length: 200 }, (_, index) => {
        const record = recordOf(round * 200 + index, now, { tenant: `t${round}` });
        return (stores[index % CONNECTIONS] ?? store).admit(record, lease.epoch, limits);
      }),
    );
    expect(results.filter(({ kind }) => kind === "granted")).toHaveLength(13);
    expect(await admin.zcard(`{culvert}:u:t${round} alice`)).toBe(13);
    expect(await admin.zcard(`{culvert}:q:t${round}`)).toBe(13);
  }
});

test("an admission is one command, and so is a renewal", async () => {
  await store.admit(recordOf(1, now), lease.epoch, { perUser: 5, perTenant: 5 });
  const count = async (): Promise<number> => {
    const stats = await admin.info("commandstats");
    return ["evalsha", "eval"].reduce((sum, name) => {
      return sum + Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
    }, 0);
  };
  const processed = async (): Promise<number> =>
    Number(/total_reads_processed:(\d+)/.exec(await admin.info("stats"))?.[1] ?? 0);
  const [before, reads] = [await count(), await processed()];
  await store.admit(recordOf(2, now), lease.epoch, { perUser: 5, perTenant: 5 });
  await store.renew(ENTRY, [lease], 600_000);
  expect((await count()) - before).toBe(2);
  // The two reads, and those of the looks themselves.
  expect((await processed()) - reads).toBeLessThanOrEqual(4);
});

test("nothing stays when records are deleted, slots forgotten and relays gone", async () => {
  const records = Array.from({ length: 20 }, (_, index) => recordOf(index, now, { user: `user-${index % 3}` }));
  await store.write(records.map((record) => ({ kind: "put", record, epoch: lease.epoch })));
  expect((await keys()).length).toBeGreaterThan(40);
  await store.write(records.map(({ id }) => ({ kind: "delete", id, slot: SLOT, epoch: lease.epoch })));
  expect((await keys()).filter((key) => !key.endsWith(":probe"))).toEqual(fleetKeys);
  await shiftTime(admin, "culvert", 8 * 86_400_000);
  await store.slots();
  await store.relays();
  expect((await keys()).filter((key) => !key.endsWith(":probe"))).toEqual(["{culvert}:era"]);
});

test("what nobody deletes goes by itself, with every index that led to it", async () => {
  await store.admit(recordOf(1, now), lease.epoch, {});
  await shiftTime(admin, "culvert", 600_000);
  expect(await keys(":a:*")).toHaveLength(1);
  await shiftTime(admin, "culvert", 60_000);
  expect((await keys()).filter((key) => !/:(era|relays|slots|slot:.*|probe)$/.test(key))).toEqual([]);
});

test("an index lives as long as the last of its members", async () => {
  const long = recordOf(1, now);
  await store.admit(long, lease.epoch, {});
  const short = recordOf(2, now);
  const relays = short.relays.map((relay) => ({ ...relay, expiresAt: now + 1000 }));
  await store.admit({ ...short, relays }, lease.epoch, {});
  for (const key of await keys(":[inqu]:*")) expect(await admin.pttl(key)).toBeGreaterThan(600_000);
});

test("members whose records are gone are dropped by who meets them, and counted", async () => {
  await store.write([1, 2, 3].map((index) => ({ kind: "put", record: recordOf(index, now), epoch: lease.epoch })));
  await admin.del(`{culvert}:a:${recordOf(2, now).id}`);
  const dropped = store.counters().droppedMembers;
  const { records } = await store.list({ tenant: "acme" }, { limit: 10 });
  expect(records.map(({ record }) => record.id)).toEqual([recordOf(1, now).id, recordOf(3, now).id]);
  expect(await admin.zcard("{culvert}:n:acme")).toBe(2);
  const ids: string[] = [];
  for await (const page of store.recordsOf(SLOT)) ids.push(...page.map(({ id }) => id));
  expect(ids).toHaveLength(2);
  expect(await admin.zcard(`{culvert}:i:${SLOT}`)).toBe(2);
  expect(store.counters().droppedMembers - dropped).toBe(2);
});

test("members of a tenant's indexes that expired are dropped by admissions", async () => {
  await store.write(
    Array.from({ length: 150 }, (_, index) => ({ kind: "put", record: recordOf(index, now), epoch: lease.epoch })),
  );
  const ids = Array.from({ length: 150 }, (_, index) => recordOf(index, now).id);
  await admin.del(...ids.map((id) => `{culvert}:a:${id}`));
  for (const id of ids) await admin.zadd("{culvert}:q:acme", now - 61_000, id);
  await store.admit(recordOf(900, now), lease.epoch, { perTenant: 1 });
  await store.admit(recordOf(901, now), lease.epoch, { perTenant: 1 });
  expect(await admin.zrange("{culvert}:q:acme", "0", "-1")).toEqual([recordOf(900, now).id]);
  expect(await admin.zrange("{culvert}:n:acme", "0", "-1")).toEqual([recordOf(900, now).id]);
});

test("records of a newer schema are left alone, and counted", async () => {
  const record = recordOf(1, now);
  await store.admit(record, lease.epoch, {});
  const key = `{culvert}:a:${record.id}`;
  await admin.hset(key, "v", "2", "b", "bytes of another program");
  const stored = await admin.hgetall(key);
  const before = store.counters().newerRecords;

  expect(await store.get(record.id)).toBeUndefined();
  expect(await store.list({ tenant: "acme" }, { limit: 10 })).toEqual({ records: [] });
  const pages: unknown[] = [];
  for await (const page of store.recordsOf(SLOT)) pages.push(...page);
  expect(pages).toEqual([]);
  expect(
    await store.write([
      { kind: "put", record, epoch: lease.epoch },
      { kind: "delete", id: record.id, slot: SLOT, epoch: lease.epoch },
    ]),
  ).toEqual(["written", "written"]);
  expect(await admin.hgetall(key)).toEqual(stored);
  expect(store.counters().newerRecords - before).toBe(5);
  // It still counts, and its tuple is known.
  expect(await store.admit(recordOf(2, now), lease.epoch, { perUser: 1 })).toMatchObject({ kind: "refused" });
  expect(await store.byTuple(record.tuple)).toMatchObject({ id: record.id });
});

test.each([
  "no json",
  "[]",
  '{"slots":[]}',
  '{"slots":[],"relays":[{}],"listener":{},"remote":{},"claims":{},"counters":{}}',
])("records that cannot be read are left alone, and counted: %s", async (body) => {
  const record = recordOf(1, now);
  await store.admit(record, lease.epoch, {});
  await admin.hset(`{culvert}:a:${record.id}`, "b", body);
  const before = store.counters().unreadableRecords;
  expect(await store.get(record.id)).toBeUndefined();
  expect(store.counters().unreadableRecords - before).toBe(1);
  expect(await admin.hget(`{culvert}:a:${record.id}`, "b")).toBe(body);
});

test("all keys of a fleet have one hash tag, and those of another prefix are another fleet's", async () => {
  await store.admit(recordOf(1, now, { user: "{x}", tenant: "{y}" }), lease.epoch, {});
  const all = (await admin.keys("*")).filter((key) => !key.startsWith("{culvert}:"));
  expect(all).toEqual([]);
  const other = createRedisFleetStore({
    server: { kind: "standalone", host: "127.0.0.1", port: server.port },
    database: 0,
    prefix: "other",
    commandTimeoutMs: 5000,
  });
  await other.untilUp(15_000);
  expect(await other.slots()).toEqual([]);
  expect(await other.list({}, { limit: 10 })).toEqual({ records: [] });
  await other.close();
});

test("a slot handed to another relay keeps its records", async () => {
  await shiftTime(admin, "culvert", 600_000);
  await store.renew(ENTRY, [lease], 600_000);
  await store.admit(recordOf(1, await store.time()), lease.epoch, {});
  await store.release(lease, ENTRY.instance, "relay-1");
  const claim = { slot: SLOT, identity: "relay-1", instance: "b0", host: "host-1" };
  expect(await store.acquire(claim, "expired", 600_000)).toMatchObject({ ok: true });
  expect((await store.list({ identity: "relay-1" }, { limit: 10 })).records).toHaveLength(1);
  expect((await store.list({ identity: "relay-0" }, { limit: 10 })).records).toHaveLength(0);
});
