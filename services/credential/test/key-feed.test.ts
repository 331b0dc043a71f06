import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ClientCredentials, grpcKeySource } from "@culvert/contracts";
import { type KeyChange, KeyRing, type KeySnapshot, type KeyWatch } from "@culvert/credentials";
import { createMemoryCredentialStore } from "@culvert/state";
import { freePort, nodeCrypto } from "@culvert/testkit";
import selfsigned from "selfsigned";
import { afterEach, expect, it } from "vitest";
import { ACME_SECRET, ADMIN, APP, type Running, startService, textAt } from "./service.ts";

const TOKEN = "token-of-the-key-feed";
const watches: KeyWatch[] = [];
afterEach(() => {
  for (const watch of watches.splice(0)) watch.close();
});

interface Watcher {
  readonly watch: KeyWatch;
  readonly snapshots: KeySnapshot[];
  readonly changes: KeyChange[];
  readonly revisions: bigint[];
  readonly reasons: string[];
  readonly ring: KeyRing;
}

function follow(
  port: number | undefined,
  credentials: ClientCredentials = {},
  backoff = { minMs: 5, maxMs: 50 },
): Watcher {
  const ring = new KeyRing({ crypto: nodeCrypto });
  const snapshots: KeySnapshot[] = [];
  const changes: KeyChange[] = [];
  const revisions: bigint[] = [];
  const reasons: string[] = [];
  const source = grpcKeySource({
    target: `127.0.0.1:${port}`,
    watcher: "relay-0",
    credentials,
    backoff,
    logger: { info: () => {}, warn: (fields) => reasons.push(JSON.stringify(fields)) },
  });
  const watch = source.watch({
    onSnapshot: (snapshot, revision) => {
      ring.replace(snapshot);
      snapshots.push(snapshot);
      revisions.push(revision);
    },
    onChange: (change, revision) => {
      ring.apply(change);
      changes.push(change);
      revisions.push(revision);
    },
  });
  watches.push(watch);
  return { watch, snapshots, changes, revisions, reasons, ring };
}
async function issue({ call }: Running): Promise<string> {
  const { body } = await call("POST", "/v1/turn/keys/acme/credentials/generate", { token: APP });
  return textAt(body, "iceServers.username");
}

it("tells a snapshot and then each change, with revisions that grow by one", async () => {
  const { info, call, metrics } = await startService();
  const { watch, snapshots, changes, revisions } = follow(info.grpc?.port);
  await watch.ready;
  expect(snapshots).toEqual([
    {
      keys: expect.arrayContaining([
        { tenant: "acme", kid: "acme-1", secret: new Uint8Array(Buffer.from(ACME_SECRET)), state: "active" },
      ]),
      revocations: [],
    },
  ]);
  await call("POST", "/v1/tenants/acme/keys/acme-1/rotate", {
    token: ADMIN,
    json: { kid: "acme-2", overlapSeconds: 60 },
  });
  await call("POST", "/v1/tenants/acme/revocations", { token: ADMIN, json: { user: "alice" } });
  await call("DELETE", "/v1/tenants/acme/keys/acme-1", { token: ADMIN });
  await expect
    .poll(() => changes)
    .toMatchObject([
      { type: "key-changed", key: { kid: "acme-2", state: "active" } },
      { type: "key-changed", key: { kid: "acme-1", state: "retiring" } },
      { type: "revoked", revocation: { tenant: "acme", subject: { kind: "user", user: "alice" } } },
      { type: "key-removed", tenant: "acme", kid: "acme-1" },
    ]);
  const [start = 0n] = revisions;
  expect(revisions).toEqual([0n, 1n, 2n, 3n, 4n].map((step) => start + step));
  expect(await metrics()).toMatch(/culvert_credential_key_watchers 1/);
});

it("refuses a watcher without the shared token or with a wrong one, slows it down, and lets it in with the right one", async () => {
  const running = await startService({ grpc: { port: 0, token: TOKEN }, failures: { burst: 4 } });
  const { info, metrics } = running;
  // One attempt: more of them would use up the failures that the source of all three has.
  const without = follow(info.grpc?.port, {}, { minMs: 60_000, maxMs: 60_000 });
  await expect.poll(() => without.reasons.join()).toMatch(/16 UNAUTHENTICATED: the shared token is missing or wrong/);
  without.watch.close();
  const right = follow(info.grpc?.port, { token: TOKEN });
  await right.watch.ready;
  const wrong = follow(info.grpc?.port, { token: "wrong-token-of-the-feed" });
  await expect.poll(() => wrong.reasons.join()).toMatch(/8 RESOURCE_EXHAUSTED: too many failures; try again in \d+ s/);
  expect(without.snapshots.length + wrong.snapshots.length).toBe(0);
  expect(await metrics()).toMatch(/culvert_credential_auth_failures_total\{via="grpc"\} 4/);
  expect(await issue(running)).toContain(":acme-1:");
});

it("takes no more watchers than configured", async () => {
  const { info } = await startService({ grpc: { port: 0, maxWatchers: 1 } });
  const first = follow(info.grpc?.port);
  await first.watch.ready;
  const second = follow(info.grpc?.port);
  await expect.poll(() => second.reasons.join()).toMatch(/RESOURCE_EXHAUSTED: 1 watchers are the most/);
  first.watch.close();
  await second.watch.ready;
});

it("is followed again after the service was away; what was known stays in force meanwhile", async () => {
  const store = createMemoryCredentialStore();
  const port = await freePort();
  const first = await startService({ grpc: { port } }, { store });
  const { watch, ring, snapshots } = follow(port);
  await watch.ready;
  const username = await issue(first);
  const now = first.clock() / 1000;
  await first.service.stop();
  await expect.poll(() => watch.connected()).toBe(false);
  expect(ring.resolve(username, now).ok).toBe(true);

  const second = await startService({ grpc: { port } }, { store });
  await second.call("POST", "/v1/tenants/acme/revocations", { token: ADMIN, json: { username } });
  await expect.poll(() => ring.resolve(username, now)).toEqual({ ok: false, reason: "revoked" });
  expect(watch.connected()).toBe(true);
  expect(snapshots).toHaveLength(2);
});

interface Pem {
  readonly cert: string;
  readonly key: string;
}

async function certificate(name: string, isAuthority: boolean, authority?: Pem): Promise<Pem> {
  const made = await selfsigned.generate([{ name: "commonName", value: name }], {
    keyType: "ec",
    curve: "P-256",
    algorithm: "sha256",
    extensions: [
      { name: "basicConstraints", cA: isAuthority },
      { name: "subjectAltName", altNames: [{ type: 7, ip: "127.0.0.1" }] },
    ],
    ...(authority === undefined ? {} : { ca: authority }),
  });
  return { cert: made.cert, key: made.private };
}

it("serves mTLS: only certificates of its authority come in", async () => {
  const authorities = { ours: await certificate("ours", true), other: await certificate("other", true) };
  const server = await certificate("server", false, authorities.ours);
  const client = await certificate("client", false, authorities.ours);
  const stranger = await certificate("stranger", false, authorities.other);
  const ca = authorities.ours.cert;
  const directory = mkdtempSync(join(tmpdir(), "culvert-feed-"));
  try {
    const file = (name: string, pem: string): string => {
      writeFileSync(join(directory, name), pem);
      return join(directory, name);
    };
    const tls = { cert: file("cert.pem", server.cert), key: file("key.pem", server.key), ca: file("ca.pem", ca) };
    const { info } = await startService({ grpc: { port: 0, tls } });
    const port = info.grpc?.port;
    const good = follow(port, { tls: { ca, ...client } });
    await good.watch.ready;
    const strangers = [follow(port, { tls: { ca, ...stranger } }), follow(port, { tls: { ca } }), follow(port)];
    for (const stranger of strangers) await expect.poll(() => stranger.reasons.length).toBeGreaterThan(1);
    expect(strangers.flatMap(({ snapshots }) => snapshots)).toEqual([]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
