import { createRedisFleetStore, type RedisFleetStore, type RedisOptions } from "@culvert/state";
import { type RedisServer, startRedis, type TestCertificate, testCertificate } from "@culvert/testkit";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { useEverything } from "./support/short-form.ts";

/** What docs/adr/0009-fleet-state.md tells operators to allow. */
const ACL = ["~{culvert}*", "-@all", "+@read", "+@write", "+@scripting", "+@connection", "+info", "+time"];

let certificate: TestCertificate;
let server: RedisServer;
let store: RedisFleetStore | undefined;
beforeAll(async () => {
  certificate = await testCertificate();
  const user = ["--user", "culvert", "on", ">sesame", ...ACL];
  server = await startRedis({ tls: certificate, args: [...user, "--user", "default", "off"] });
});
afterAll(async () => {
  await server?.dispose();
  certificate?.dispose();
});
afterEach(() => store?.close());

const connect = (change: Partial<RedisOptions> = {}): RedisFleetStore => {
  store = createRedisFleetStore({
    server: { kind: "standalone", host: "127.0.0.1", port: server.port },
    database: 0,
    username: "culvert",
    password: "sesame",
    tls: { ca: certificate.cert },
    prefix: "culvert",
    commandTimeoutMs: 2000,
    ...change,
  });
  return store;
};

test("the store works over TLS, as a user that may do no more than it needs", async () => {
  const own = connect();
  expect(await own.untilUp(5000)).toBe(true);
  await useEverything(own);
});

test.each([
  ["a wrong password", { password: "guess" }, /WRONGPASS/],
  ["a server that nobody vouches for", { tls: {} }, /self-signed certificate/],
  ["keys that the user may not touch", { prefix: "other" }, /NOPERM/],
])("%s: down, with the reason", async (_, change, reason) => {
  const own = connect(change);
  expect(await own.untilUp(1000)).toBe(false);
  expect(own.health()).toMatchObject({ up: false, reason: expect.stringMatching(reason) });
});
