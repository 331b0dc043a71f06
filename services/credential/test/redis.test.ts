import { loadConfig } from "@culvert/config";
import { credentialConfigSchema, openStore } from "@culvert/credential-service";
import { type CredentialStore, createMemoryCredentialStore } from "@culvert/state";
import { createLogger, createMetrics } from "@culvert/telemetry";
import { type RedisServer, startRedis } from "@culvert/testkit";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ACME_SECRET, ADMIN, APP, type Running, startService, textAt } from "./service.ts";

let redis: RedisServer;
const stores: CredentialStore[] = [];
beforeEach(async () => {
  redis = await startRedis({ args: ["--appendonly", "yes", "--appendfsync", "always"] });
});
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
  await redis.dispose();
});

const logger = createLogger({ service: "credential", level: "silent" });

/** A pod of the service on the Redis. */
async function pod(): Promise<Running> {
  const section = { redis: { url: redis.url, commandTimeout: 10 } };
  const config = loadConfig(credentialConfigSchema, { section: "credential", env: {}, overrides: section });
  const store = openStore(config, logger, createMetrics({ service: "credential" }));
  stores.push(store);
  return startService(section, { store });
}
const issue = ({ call }: Running) => call("POST", "/v1/turn/keys/acme/credentials/generate", { token: APP });

it("pods share tenants, tokens, keys and revocations", async () => {
  const [one, two] = [await pod(), await pod()];
  const tenant = { id: "umbrella", name: "Umbrella" };
  expect((await one.call("POST", "/v1/tenants", { token: ADMIN, json: tenant })).status).toBe(201);
  const key = await two.call("POST", "/v1/tenants/umbrella/keys", { token: ADMIN, json: {} });
  expect(key.status).toBe(201);
  const json = { name: "app", scopes: ["credentials:issue"] };
  const token = await one.call("POST", "/v1/tenants/umbrella/tokens", { token: ADMIN, json });
  expect(token.status).toBe(201);
  const issued = await two.call("POST", "/v1/turn/keys/umbrella/credentials/generate", {
    token: textAt(token.body, "token"),
  });
  expect(issued.status).toBe(201);

  await one.call("POST", "/v1/tenants/acme/revocations", { token: ADMIN, json: { user: "alice" } });
  expect((await two.call("GET", "/v1/tenants/acme/revocations", { token: ADMIN })).body).toMatchObject({
    revocations: [{ user: "alice" }],
  });
});

it("a key made by one pod is told to those who follow another", async () => {
  const [one, two] = [await pod(), await pod()];
  const kids: string[] = [];
  const watch = two.service.keyFeed.watch({
    onSnapshot: ({ keys }) => kids.push(...keys.map(({ kid }) => kid)),
    onChange: (change) => change.type === "key-changed" && kids.push(change.key.kid),
  });
  await watch.ready;
  await one.call("POST", "/v1/tenants/acme/keys/acme-1/rotate", { token: ADMIN, json: { kid: "acme-2" } });
  await expect.poll(() => kids).toContain("acme-2");
  watch.close();
});

it("what was changed is there after all pods were gone", async () => {
  const first = await pod();
  await first.call("PATCH", "/v1/tenants/acme", { token: ADMIN, json: { name: "Changed" } });
  await first.service.stop();
  const second = await pod();
  expect((await second.call("GET", "/v1/tenants/acme", { token: ADMIN })).body).toMatchObject({ name: "Changed" });
});

it("answers 503 while Redis is down, in the shape of each API, and goes on afterwards", async () => {
  const running = await pod();
  expect((await issue(running)).status).toBe(201);
  await redis.stop();
  const refused = await issue(running);
  expect(refused).toMatchObject({ status: 503, body: { success: false, errors: [{ code: 503 }] } });
  expect(refused.headers.get("retry-after")).toBe("1");
  const admin = await running.call("GET", "/v1/tenants/acme", { token: ADMIN });
  expect(admin).toMatchObject({ status: 503, body: { error: { code: "unavailable" } } });
  expect(running.lines.join("")).not.toContain(ACME_SECRET);
  await redis.start();
  await expect.poll(async () => (await issue(running)).status).toBe(201);
});

it("brings what is declared into a Redis that comes back empty", async () => {
  const running = await pod();
  await redis.stop();
  const empty = await startRedis({ port: redis.port });
  const tokens = () => running.call("GET", "/v1/tenants/acme/tokens", { token: ADMIN });
  try {
    await expect.poll(tokens).toMatchObject({ body: { tokens: [{}] } });
    await expect.poll(async () => (await issue(running)).status).toBe(201);
  } finally {
    await empty.dispose();
  }
});

it("waits for a Redis that starts later than itself", async () => {
  await redis.stop();
  const starting = pod();
  await new Promise((resolve) => setImmediate(resolve));
  await redis.start();
  expect((await issue(await starting)).status).toBe(201);
});

it("gives up on a Redis that does not start, in one line", async () => {
  vi.useFakeTimers();
  try {
    const store = { ...createMemoryCredentialStore(), healthy: async () => false };
    const starting = expect(startService({}, { store })).rejects.toThrow(
      /^credential\.redis: does not answer within 30 s/,
    );
    await vi.advanceTimersByTimeAsync(31_000);
    await starting;
  } finally {
    vi.useRealTimers();
  }
});
