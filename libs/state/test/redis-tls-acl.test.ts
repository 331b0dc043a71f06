import {
  createRedisCredentialStore,
  createRedisFleetStore,
  type RedisFleetStore,
  type RedisOptions,
} from "@culvert/state";
import { type RedisServer, startRedis, type TestCertificate, testCertificate } from "@culvert/testkit";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { elapsing } from "./support/shift.ts";
import { useEverything } from "./support/short-form.ts";

/** What docs/adr/0009-fleet-state.md tells operators to allow. */
const ACL = "~{culvert}* -@all +@read +@write +@scripting +@connection -@dangerous +info +time".split(" ");

/** What tests do themselves. */
const login = { username: "operator", password: "not-for-clients" };

let certificate: TestCertificate;
let server: RedisServer;
let store: RedisFleetStore | undefined;
beforeAll(async () => {
  certificate = await testCertificate();
  const user = ["--user", "culvert", "on", ">sesame", ...ACL];
  const operator = ["--user", login.username, "on", `>${login.password}`, "~*", "&*", "+@all"];
  server = await startRedis({ tls: certificate, login, args: [...user, ...operator, "--user", "default", "off"] });
});
afterAll(async () => {
  await server?.dispose();
  certificate?.dispose();
});
afterEach(() => store?.close());

const options = (): RedisOptions => ({
  server: { kind: "standalone", host: "127.0.0.1", port: server.port },
  database: 0,
  username: "culvert",
  password: "sesame",
  tls: { ca: certificate.cert },
  prefix: "culvert",
  commandTimeoutMs: 5000,
});
const connect = (change: Partial<RedisOptions> = {}): RedisFleetStore => {
  store = createRedisFleetStore({ ...options(), ...change });
  return store;
};

test("the store works over TLS, as a user that may do no more than it needs", async () => {
  const own = connect();
  expect(await own.untilUp(15_000)).toBe(true);
  await useEverything(
    own,
    elapsing("culvert", () => server),
  );
});

test("so does the credential store", async () => {
  const own = createRedisCredentialStore(options());
  expect(await own.untilUp(15_000)).toBe(true);
  await own.createTenant({ id: "acme", name: "Acme", quotas: {}, limits: {}, createdAt: 1, version: 1 });
  const updates: unknown[] = [];
  await own.watch((update) => updates.push(update));
  await own.createKey({ tenant: "acme", kid: "k", secret: new Uint8Array([1]), state: "active", createdAt: 1 });
  await vi.waitFor(() => expect(updates).toHaveLength(2), { timeout: 30_000 });
  await own.close();
});

test.each([
  ["a wrong password", { password: "guess" }, /WRONGPASS/],
  ["a server that nobody vouches for", { tls: {} }, /self-signed certificate/],
  ["keys that the user may not touch", { prefix: "other" }, /NOPERM/],
])("%s: down, with the reason", async (_, change, reason) => {
  const own = connect(change);
  const down = { up: false, reason: expect.stringMatching(reason) };
  await vi.waitFor(() => expect(own.health()).toMatchObject(down), { timeout: 30_000 });
  expect(await own.untilUp(500)).toBe(false);
  expect(own.health()).toMatchObject({ up: false });
});
