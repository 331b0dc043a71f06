import { createHash } from "node:crypto";
import type { KeyUpdate } from "@culvert/credentials";
import { createRedisCredentialStore, type RedisCredentialStore, StoreUnavailable } from "@culvert/state";
import { describeCredentialStoreContract } from "@culvert/state/contract";
import { type RedisServer, startRedis, type TcpSwitch, tcpSwitch } from "@culvert/testkit";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";

/** For `vi.waitFor`: the test's own time limit is to be the one that counts. */
const PATIENCE = { timeout: 30_000, interval: 20 };

let server: RedisServer;
let admin: Redis;
beforeAll(async () => {
  server = await startRedis({ args: ["--appendonly", "yes", "--appendfsync", "always"] });
  admin = new Redis({ port: server.port });
});
afterAll(async () => {
  admin?.disconnect();
  await server?.dispose();
});

async function connect(port: number = server.port): Promise<RedisCredentialStore> {
  const store = createRedisCredentialStore({
    server: { kind: "standalone", host: "127.0.0.1", port },
    database: 0,
    prefix: "culvert",
    commandTimeoutMs: 5000,
  });
  expect(await store.untilUp(15_000)).toBe(true);
  return store;
}

describeCredentialStoreContract("Redis", async () => {
  await admin.flushall();
  const stores: RedisCredentialStore[] = [];
  return {
    async connect() {
      const store = await connect();
      stores.push(store);
      return store;
    },
    async dispose() {
      for (const store of stores) await store.close();
    },
  };
});

describe("a watch on Redis", () => {
  let wire: TcpSwitch;
  let watching: RedisCredentialStore;
  let writing: RedisCredentialStore;
  let updates: KeyUpdate[];

  beforeEach(async () => {
    await admin.flushall();
    wire = await tcpSwitch(server.port);
    watching = await connect(wire.port);
    writing = await connect();
    updates = [];
    await writing.createTenant({ id: "acme", name: "Acme", quotas: {}, limits: {}, createdAt: 1, version: 1 });
    await createKey("k0");
    await watching.watch((update) => updates.push(update));
  });
  afterEach(async () => {
    await watching.close();
    await writing.close();
    await wire.close();
  });

  const createKey = (kid: string) =>
    writing.createKey({
      tenant: "acme",
      kid,
      secret: createHash("sha256").update(kid).digest(),
      state: "active",
      createdAt: 1,
    });
  /** What a follower knows who took every update. */
  const known = (told: readonly KeyUpdate[] = updates): string[] => {
    let kids = new Set<string>();
    let revision = -1n;
    for (const update of told) {
      if ("snapshot" in update) kids = new Set(update.snapshot.keys.map(({ kid }) => kid));
      else {
        expect(update.revision).toBe(revision + 1n);
        if (update.change.type === "key-changed") kids.add(update.change.key.kid);
        if (update.change.type === "key-removed") kids.delete(update.change.kid);
      }
      revision = update.revision;
    }
    return [...kids].sort();
  };
  const knows = (...kids: string[]) => vi.waitFor(() => expect(known()).toEqual(kids), PATIENCE);

  it("has no gap, whenever it starts beside others", async () => {
    const all: KeyUpdate[][] = [];
    for (let round = 0; round < 40; round++) {
      const told: KeyUpdate[] = [];
      all.push(told);
      await Promise.all([
        ...[1, 2, 3].map((index) => createKey(`k-${round}-${index}`)),
        watching.watch((update) => told.push(update)),
        createKey(`k-${round}-4`),
      ]);
    }
    await vi.waitFor(() => expect(all.map((told) => known(told).length)).toEqual(all.map(() => 161)), PATIENCE);
  });

  it("tells a snapshot after it was cut off, and goes on", async () => {
    await createKey("k1");
    await knows("k0", "k1");
    wire.set("cut");
    await createKey("k2");
    wire.set("open");
    await knows("k0", "k1", "k2");
    await createKey("k3");
    await knows("k0", "k1", "k2", "k3");
    expect(updates.filter((update) => "snapshot" in update).length).toBeGreaterThan(1);
  });

  it("tells a snapshot when it missed more than the log holds", async () => {
    const before = updates.length;
    await admin
      .multi()
      .incr("{culvert}:c:revision")
      .incr("{culvert}:c:revision")
      .xadd("{culvert}:c:log", `${(updates[0]?.revision ?? 0n) + 2n}-0`, "type", "key-removed", "kid", "x")
      .exec();
    await vi.waitFor(() => expect(updates.length).toBeGreaterThan(before), PATIENCE);
    expect(updates[before]).toHaveProperty("snapshot");
    await createKey("k1");
    await knows("k0", "k1");
  });

  it("tells a snapshot when a newer program wrote what it does not know", async () => {
    const next = (updates[0]?.revision ?? 0n) + 1n;
    await admin.multi().incr("{culvert}:c:revision").xadd("{culvert}:c:log", `${next}-0`, "type", "key-blessed").exec();
    await vi.waitFor(() => expect(updates[1]).toMatchObject({ revision: next, snapshot: {} }), PATIENCE);
  });

  it("notices that everything is gone, though no change says so", async () => {
    await admin.flushall();
    await knows();
    const revision = updates.at(-1)?.revision ?? 0n;
    expect(revision).toBeGreaterThan(updates[0]?.revision ?? 0n);
    await writing.createTenant({ id: "acme", name: "Acme", quotas: {}, limits: {}, createdAt: 1, version: 1 });
    await createKey("k9");
    await knows("k9");
  });

  it("goes on after the server was killed and started again", async () => {
    await server.stop();
    await vi.waitFor(async () => expect(await watching.healthy()).toBe(false), PATIENCE);
    await expect(watching.key("k0")).rejects.toThrow(StoreUnavailable);
    await server.start();
    await vi.waitFor(() => createKey("k1"), PATIENCE);
    await knows("k0", "k1");
    await vi.waitFor(async () => expect(await watching.healthy()).toBe(true), PATIENCE);
  });

  it("rejects while Redis does not answer", async () => {
    wire.set("cut");
    await vi.waitFor(async () => expect(await watching.healthy()).toBe(false), PATIENCE);
    await expect(watching.watch(() => {})).rejects.toThrow(StoreUnavailable);
  });

  it("forgets many revocations, and leaves nothing of a tenant that is gone", async () => {
    await Promise.all(
      Array.from({ length: 1500 }, (_, index) => {
        const subject = { kind: "user", user: `u${index}` } as const;
        return writing.revoke({ tenant: "acme", subject, revokedAt: 1, expiresAt: 10 + (index % 2) }, 5000);
      }),
    );
    expect(await writing.pruneRevocations(10)).toBe(750);
    expect(await writing.pruneRevocations(11)).toBe(750);
    await writing.createToken({ id: "t", tenant: "acme", name: "t", hash: "h", scopes: [], createdAt: 1 });
    await writing.deleteTenant("acme");
    const left = (await admin.keys("*")).filter((key) => !key.endsWith(":probe")).sort();
    expect(left).toEqual(["{culvert}:c:log", "{culvert}:c:order", "{culvert}:c:revision"]);
  });
});
