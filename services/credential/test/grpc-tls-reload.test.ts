import { grpcKeySource } from "@culvert/contracts";
import type { KeyWatch } from "@culvert/credentials";
import { mountVolume, testCertificate } from "@culvert/testkit";
import { expect, it, onTestFinished } from "vitest";
import { ADMIN, startService } from "./service.ts";

const TOKEN = "token-of-the-key-feed";

async function certificate() {
  const made = await testCertificate();
  made.dispose();
  return { "tls.crt": made.cert, "tls.key": made.key };
}

/** How often a watcher was told anything, and why its connections ended. */
function follow(port: number | undefined, credentials: Parameters<typeof grpcKeySource>[0]["credentials"] = {}) {
  const told: string[] = [];
  const reasons: string[] = [];
  const watch: KeyWatch = grpcKeySource({
    target: `localhost:${port}`,
    watcher: "relay-0",
    credentials,
    backoff: { minMs: 5, maxMs: 50 },
    logger: { info: () => {}, warn: (fields) => reasons.push(JSON.stringify(fields)) },
  }).watch({ onSnapshot: () => told.push("snapshot"), onChange: ({ type }) => told.push(type) });
  onTestFinished(() => watch.close());
  return { told, reasons, watch };
}

it("new connections get the certificate that a mounted Secret has now; those that are open go on", async () => {
  const [first, second] = [await certificate(), await certificate()];
  const volume = mountVolume(first);
  onTestFinished(() => volume.dispose());
  const tls = { cert: volume.file("tls.crt"), key: volume.file("tls.key") };
  const { service, info, call } = await startService({ grpc: { port: 0, token: TOKEN, tls } });
  const port = info.grpc?.port;
  const trusting = (pem: string) => ({ token: TOKEN, tls: { ca: pem } });
  const old = follow(port, trusting(first["tls.crt"]));
  await old.watch.ready;

  volume.swap(second);
  service.reload();
  const next = follow(port, trusting(second["tls.crt"]));
  await next.watch.ready;
  const late = follow(port, trusting(first["tls.crt"]));
  await expect.poll(() => late.reasons.length).toBeGreaterThan(0);
  expect(late.told).toEqual([]);

  await call("POST", "/v1/tenants/acme/revocations", { token: ADMIN, json: { user: "alice" } });
  await expect.poll(() => old.told).toEqual(["snapshot", "revoked"]);
  expect(old.reasons).toEqual([]);
});

it("authorities of watchers' certificates (mTLS) are replaced, too", async () => {
  const [server, first, second] = [await certificate(), await certificate(), await certificate()];
  const volume = mountVolume({ ...server, "ca.crt": first["tls.crt"] });
  onTestFinished(() => volume.dispose());
  const tls = { cert: volume.file("tls.crt"), key: volume.file("tls.key"), ca: volume.file("ca.crt") };
  const { service, info } = await startService({ grpc: { port: 0, tls } });
  const as = (own: typeof first) => ({
    tls: { ca: server["tls.crt"], cert: own["tls.crt"], key: own["tls.key"] },
  });
  await follow(info.grpc?.port, as(first)).watch.ready;
  const early = follow(info.grpc?.port, as(second));
  await expect.poll(() => early.reasons.length).toBeGreaterThan(0);
  expect(early.told).toEqual([]);
  volume.swap({ "ca.crt": second["tls.crt"] });
  service.reload();
  // It asks again by itself.
  await early.watch.ready;
});

it("a watcher proves itself with the certificate and the token that it has at each connection", async () => {
  const { service, info } = await startService({ grpc: { port: 0, token: TOKEN } });
  let token = "a token that is not the right one";
  const watcher = follow(info.grpc?.port, () => ({ token }));
  await expect.poll(() => watcher.reasons.length).toBeGreaterThan(0);
  token = TOKEN;
  await watcher.watch.ready;
  expect(service.ready().ready).toBe(true);
});

it("tokens and declared secrets are taken over; other keys are named and stay", async () => {
  const { service, info, call, lines, config } = await startService({ grpc: { port: 0, token: TOKEN } });
  const next = "the-next-token-of-the-feed";
  service.reload(
    config({
      grpc: { port: 0, token: next },
      adminToken: "another-admin-token",
      staticAuthSecrets: ["north-north-north", "south-south-south"],
      maxRevocations: 5,
    }),
  );
  const status = async (token: string) => (await call("GET", "/v1/tenants/default/keys", { token })).status;
  expect([await status(ADMIN), await status("another-admin-token")]).toEqual([401, 200]);
  await follow(info.grpc?.port, { token: next }).watch.ready;
  const keys = async () => (await call("GET", "/v1/tenants/default/keys", { token: "another-admin-token" })).body;
  await expect.poll(async () => JSON.stringify(await keys()).match(/"kid":"static-/g)).toHaveLength(2);
  const named = lines.map((line) => JSON.parse(line)).filter(({ keys: found }) => Array.isArray(found));
  expect(named.map(({ level, keys: found }) => [level, found])).toEqual([
    ["warn", ["credential.maxRevocations"]],
    ["info", expect.arrayContaining(["credential.adminToken", "credential.grpc.token"])],
  ]);
});
