import { createRedisFleetStore, type RedisFleetStore, type RedisOptions } from "@culvert/state";
import {
  type RedisGroupAccess,
  startRedisCluster,
  startRedisSentinel,
  type TestCertificate,
  testCertificate,
} from "@culvert/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { elapsing } from "./support/shift.ts";
import { type Elapse, ENTRY, recordOf, TTL, takeSlot, useEverything } from "./support/short-form.ts";

/** What docs/adr/0009-fleet-state.md tells operators to allow, for two prefixes. */
const RIGHTS = "~{culvert}* ~{failover}* -@all +@read +@write +@scripting +@connection -@dangerous +info +time";
const CLUSTER_RIGHTS = `${RIGHTS} +cluster`;
const SENTINEL_RIGHTS = "&+switch-master -@all +@connection +@pubsub +sentinel";

let certificate: TestCertificate;
let store: RedisFleetStore | undefined;
beforeAll(async () => {
  certificate = await testCertificate();
});
afterAll(() => certificate?.dispose());
afterEach(() => store?.close());

const common = (): Omit<RedisOptions, "server"> => ({
  database: 0,
  username: "culvert",
  password: "sesame",
  tls: { ca: certificate.cert },
  prefix: "culvert",
  commandTimeoutMs: 5000,
});

function connect(options: RedisOptions): RedisFleetStore {
  store = createRedisFleetStore(options);
  return store;
}

/** The owner of a slot goes on after a failover, with what it wrote before. */
async function survives(own: RedisFleetStore, elapse: Elapse, failOver: () => Promise<void>): Promise<void> {
  const lease = await takeSlot(own, elapse);
  const before = await own.renew(ENTRY, [lease], TTL);
  const record = recordOf(1, before.now);
  expect(await own.admit(record, lease.epoch, {})).toEqual({ kind: "granted" });
  await failOver();
  const after = await vi.waitFor(() => own.renew(ENTRY, [lease], TTL), { timeout: 45_000, interval: 50 });
  expect(after.generation).not.toBe(before.generation);
  expect(after.lost).toEqual([]);
  expect(await own.write([{ kind: "put", record, epoch: lease.epoch }])).toEqual(["written"]);
}

describe("Sentinels over TLS, with users", () => {
  const access = (): RedisGroupAccess => ({
    tls: certificate,
    users: [`culvert on >sesame ${RIGHTS}`],
    sentinelUsers: [`watcher on >open ${SENTINEL_RIGHTS}`],
  });
  let group: Awaited<ReturnType<typeof startRedisSentinel>>;
  beforeAll(async () => {
    group = await startRedisSentinel(access());
  }, 60_000);
  afterAll(() => group?.dispose());

  const options = (
    change: Partial<RedisOptions> = {},
    login = { username: "watcher", password: "open" },
  ): RedisOptions => {
    const sentinels = group.sentinels.map((address) => ({ host: "127.0.0.1", port: Number(address.split(":")[1]) }));
    return { server: { kind: "sentinel", sentinels, master: group.master, ...login }, ...common(), ...change };
  };

  test("the store works as users that may do no more than it needs", async () => {
    const own = connect(options());
    expect(await own.untilUp(30_000)).toBe(true);
    await useEverything(own, elapsing("culvert", group.masterNow));
  });

  test.each([
    ["a wrong password at the Sentinels", {}, { username: "watcher", password: "guess" }],
    ["a wrong password at the servers", { password: "guess" }, undefined],
    ["servers that nobody vouches for", { tls: {} }, undefined],
  ])("%s: down, with a reason", async (_, change, login) => {
    const own = connect(options(change, login));
    expect(await own.untilUp(1500)).toBe(false);
    expect(own.health()).toMatchObject({ up: false, reason: expect.stringMatching(/\S/) });
  });

  test("a failover over TLS", async () => {
    const own = connect(options({ prefix: "failover" }));
    expect(await own.untilUp(30_000)).toBe(true);
    await survives(own, elapsing("failover", group.masterNow), () => group.failOver());
  }, 60_000);
});

describe("a Cluster over TLS, with users", () => {
  let cluster: Awaited<ReturnType<typeof startRedisCluster>>;
  beforeAll(async () => {
    cluster = await startRedisCluster({ tls: certificate, users: [`culvert on >sesame ${CLUSTER_RIGHTS}`] });
  }, 60_000);
  afterAll(() => cluster?.dispose());

  const masterOf = (prefix: string) => () => cluster.masterOf(`{${prefix}}`);

  /** Knows one node at first. */
  const options = (change: Partial<RedisOptions> = {}): RedisOptions => {
    const [first] = cluster.nodes;
    return {
      server: { kind: "cluster", nodes: [{ host: "127.0.0.1", port: first?.port ?? 0 }] },
      ...common(),
      ...change,
    };
  };

  test("the store works as a user that may do no more than it needs", async () => {
    const own = connect(options());
    expect(await own.untilUp(30_000)).toBe(true);
    await useEverything(own, elapsing("culvert", masterOf("culvert")));
  });

  test.each([
    ["a wrong password", { password: "guess" }],
    ["nodes that nobody vouches for", { tls: {} }],
    ["keys that the user may not touch", { prefix: "other" }],
  ])("%s: down, with a reason", async (_, change) => {
    const own = connect(options(change));
    expect(await own.untilUp(1500)).toBe(false);
    expect(own.health()).toMatchObject({ up: false, reason: expect.stringMatching(/\S/) });
  });

  test("a failover over TLS", async () => {
    const own = connect(options({ prefix: "failover" }));
    expect(await own.untilUp(30_000)).toBe(true);
    await survives(own, elapsing("failover", masterOf("failover")), () => cluster.failOver("{failover}"));
  }, 60_000);
});
