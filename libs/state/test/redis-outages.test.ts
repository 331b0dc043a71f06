import { once } from "node:events";
import { createConnection, createServer, type Socket } from "node:net";
import { createRedisFleetStore, type RedisFleetStore, type RedisOptions, StoreUnavailable } from "@culvert/state";
import { type RedisServer, startRedis, type TcpSwitch, tcpSwitch } from "@culvert/testkit";
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { elapsing } from "./support/shift.ts";
import { ENTRY, recordOf, SLOT, TTL, takeSlot } from "./support/short-form.ts";

let server: RedisServer;
let wire: TcpSwitch;
let store: RedisFleetStore;
const told: string[] = [];

beforeEach(async () => {
  server = await startRedis({ args: ["--appendonly", "yes", "--appendfsync", "always"] });
  wire = await tcpSwitch(server.port);
  store = connect(wire.port);
  told.length = 0;
  store.onHealthChange((health) => told.push(health.up ? "up" : health.reason));
  expect(await store.untilUp(15_000)).toBe(true);
});
afterEach(async () => {
  await store?.close();
  await wire?.close();
  await server?.dispose();
});

const options = (port: number): RedisOptions => ({
  server: { kind: "standalone", host: "127.0.0.1", port },
  database: 0,
  prefix: "culvert",
  commandTimeoutMs: 5000,
});
const connect = (port: number, change: Partial<RedisOptions> = {}): RedisFleetStore =>
  createRedisFleetStore({ ...options(port), ...change });
/** For `vi.waitFor`: the test's own time limit is to be the one that counts. */
const PATIENCE = { timeout: 30_000, interval: 10 };
const up = () => vi.waitFor(() => expect(store.health()).toEqual({ up: true }), PATIENCE);
const elapse = elapsing("culvert", () => server);

test("a server that is frozen: one command times out, the next are refused at once, and it comes back", async () => {
  const own = connect(server.port, { commandTimeoutMs: 1000 });
  onTestFinished(() => own.close());
  expect(await own.untilUp(15_000)).toBe(true);
  server.signal("SIGSTOP");
  await expect(own.time()).rejects.toThrow(/no answer within 1000 ms|closed/);
  expect(own.health().up).toBe(false);
  // Nothing is sent, and nothing waits: the refusals are there before any timer could run.
  let timers = 0;
  setImmediate(() => (timers += 1));
  await Promise.all(Array.from({ length: 100 }, () => expect(own.time()).rejects.toThrow(StoreUnavailable)));
  expect(timers).toBe(0);
  server.signal("SIGCONT");
  await vi.waitFor(() => own.time(), PATIENCE);
});

test("a connection that swallows everything is given up, and another one made", async () => {
  const muted = new Set<Socket>();
  const clients = new Set<Socket>();
  const proxy = createServer((client) => {
    clients.add(client);
    const upstream = createConnection(server.port, "127.0.0.1");
    client.on("data", (data) => muted.has(client) || upstream.write(data)).on("error", () => {});
    upstream.on("data", (data) => client.write(data)).on("error", () => {});
    client.on("close", () => upstream.destroy());
  }).listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const address = proxy.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const own = connect(port, { commandTimeoutMs: 1000 });
  try {
    expect(await own.untilUp(15_000)).toBe(true);
    for (const client of clients) muted.add(client);
    await expect(own.time()).rejects.toThrow(StoreUnavailable);
    await vi.waitFor(() => own.time(), PATIENCE);
    expect(clients.size).toBeGreaterThan(1);
  } finally {
    await own.close();
    proxy.close();
  }
});

test("commands that were under way when the connection ended are rejected, not sent again", async () => {
  const lease = await takeSlot(store, elapse);
  const now = await store.time();
  server.signal("SIGSTOP");
  const admitted = store.admit(recordOf(1, now), lease.epoch, {});
  wire.set("cut");
  await expect(admitted).rejects.toThrow(StoreUnavailable);
  server.signal("SIGCONT");
  wire.set("open");
  await up();
  // It may have been carried out or not; to ask again is right in both cases.
  expect(await store.admit(recordOf(1, now), lease.epoch, { perUser: 1 })).toEqual({ kind: "granted" });
});

test("a server that is killed and comes back with its data is another generation of them", async () => {
  const lease = await takeSlot(store, elapse);
  const before = await store.renew(ENTRY, [lease], TTL);
  await server.stop();
  await vi.waitFor(() => expect(store.health().up).toBe(false), PATIENCE);
  await expect(store.time()).rejects.toThrow(StoreUnavailable);
  await server.start();
  await up();
  const after = await store.renew(ENTRY, [lease], TTL);
  expect(after).toMatchObject({ lost: [], reasserted: [] });
  expect(after.generation).not.toBe(before.generation);
  expect(told).toHaveLength(3);
  // Nobody takes anything before owners could renew: not even the same identity on the same host.
  const claim = { slot: SLOT, identity: ENTRY.identity, instance: "a1", host: ENTRY.host };
  expect(await store.acquire(claim, "same-identity", TTL)).toMatchObject({ ok: false });
});

test("a server that came back empty gets the lease back, with its epoch", async () => {
  const lease = await takeSlot(store, elapse);
  await server.command("flushall");
  expect(await store.renew(ENTRY, [lease], TTL)).toMatchObject({ lost: [], reasserted: [SLOT] });
});

test("a master that becomes a replica takes no writes: down until it is a master again", async () => {
  const other = await startRedis();
  try {
    await server.command("replicaof", "127.0.0.1", String(other.port));
    await expect(store.renew(ENTRY, [], TTL)).rejects.toThrow(/READONLY/);
    expect(store.health()).toMatchObject({ up: false });
    const readOnly = { up: false, reason: expect.stringMatching(/READONLY/) };
    await vi.waitFor(() => expect(store.health()).toMatchObject(readOnly), PATIENCE);
    await server.command("replicaof", "no", "one");
    await up();
    await store.renew(ENTRY, [], TTL);
  } finally {
    await other.dispose();
  }
});

test("a full server refuses, and says so", async () => {
  await server.command("config", "set", "maxmemory", "1");
  await expect(store.renew(ENTRY, [], TTL)).rejects.toThrow(/OOM/);
  expect(store.health()).toMatchObject({ up: false });
  await server.command("config", "set", "maxmemory", "0");
  await up();
});

test("a server that would drop data when memory is short is warned of", async () => {
  await server.command("config", "set", "maxmemory-policy", "allkeys-lru");
  const warnings: string[] = [];
  const logger = { info() {}, warn: (_: object, message: string) => warnings.push(message) };
  const careless = createRedisFleetStore({ ...options(server.port), logger });
  await careless.untilUp(15_000);
  expect(warnings).toEqual([expect.stringContaining("noeviction")]);
  await careless.close();
});

test("the first call of each script is one round trip, too", async () => {
  await store.byTuple("x");
  await store.list({}, { limit: 1 });
  const stats = await server.command("info", "commandstats");
  expect(stats).toContain("cmdstat_evalsha:");
  expect(stats).not.toContain("cmdstat_eval:");
});

test("scripts that the server forgot are sent again, in the order of the writes", async () => {
  const lease = await takeSlot(store, elapse);
  const now = await store.time();
  await server.command("script", "flush");
  const record = recordOf(1, now);
  const results = await store.write([
    { kind: "put", record: { ...record, user: "first" }, epoch: lease.epoch },
    { kind: "put", record: { ...record, user: "second" }, epoch: lease.epoch },
  ]);
  expect(results).toEqual(["written", "written"]);
  expect((await store.get(record.id))?.record.user).toBe("second");
});

test("a server that is not there yet is waited for", async () => {
  await server.stop();
  const early = connect(server.port);
  try {
    expect(await early.untilUp(300)).toBe(false);
    await expect(early.time()).rejects.toThrow(StoreUnavailable);
    await server.start();
    expect(await early.untilUp(15_000)).toBe(true);
    await early.time();
  } finally {
    await early.close();
  }
});

test("leases end by the server's clock", async () => {
  const ttl = 2000;
  const lease = await takeSlot(store, elapse);
  await store.renew(ENTRY, [lease], ttl);
  const claim = { slot: SLOT, identity: "relay-1", instance: "b0", host: "host-1" };
  const witness = { ...ENTRY, identity: "witness", instance: "w" };
  // Whoever asks so late that the lease is over is told to wait: there was a gap in which the owner could not be heard.
  expect(await store.acquire(claim, "expired", ttl)).toMatchObject({ ok: false });
  await vi.waitFor(async () => {
    await store.renew(witness, [], ttl);
    expect(await store.acquire(claim, "expired", ttl)).toMatchObject({ ok: true });
  }, PATIENCE);
});
