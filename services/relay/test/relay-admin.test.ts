import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AllocationChange, type ClientCredentials, createRelayClient, type RelayClient } from "@culvert/contracts";
import { status } from "@grpc/grpc-js";
import { generate } from "selfsigned";
import { expect, it } from "vitest";
import { bytes, failure, inbox, later, startPeer, startRelay, type TestRelay } from "./harness.ts";

const TOKEN = "the-token-of-the-operators";
const USERS = [
  { username: "alice", password: "wonderland", tenant: "default" },
  { username: "bob", password: "builder", tenant: "acme" },
];
const ALL = { limit: 100 };
const env = { CULVERT_POD_NAME: "relay-7" };

async function startWithAdmin(overrides: Readonly<Record<string, unknown>> = {}) {
  const relay = await startRelay({ auth: { users: USERS }, grpc: { port: 0, token: TOKEN }, ...overrides }, { env });
  return { relay, ...operator(relay) };
}

interface Operator extends RelayClient {
  /** What a watch has told so far, and what it ended with. */
  follow(filter?: object): { readonly changes: readonly AllocationChange[]; readonly ended: Promise<unknown> };
}

/** An operator of the relay. What fails rejects with gRPC's error. */
function operator(relay: TestRelay, credentials: ClientCredentials = { token: TOKEN }): Operator {
  const client = createRelayClient({ target: `127.0.0.1:${relay.info.grpc?.port}`, credentials });
  later(() => client.close());
  return {
    ...client,
    follow: (filter = {}) => {
      const changes: AllocationChange[] = [];
      const over = new AbortController();
      later(() => over.abort());
      const run = async (): Promise<void> => {
        for await (const change of client.watch(filter, over.signal)) changes.push(change);
      };
      return { changes, ended: run().catch((error: unknown) => error) };
    },
  };
}

it("names the relay, its room and its addresses", async () => {
  const before = Date.now();
  const { relay, relays } = await startWithAdmin({ ports: { min: 30_000, max: 30_099 }, quotas: { total: 50 } });
  const client = await relay.connect("udp");
  await client.allocate();
  const [self, ...others] = await relays();
  expect(others).toEqual([]);
  expect(self).toEqual({
    identity: "relay-7",
    state: "serving",
    startedAt: expect.any(Number),
    allocations: 1,
    capacity: 50,
    turn: relay.info.listeners.map(({ ip, port }) => ({ ip, port })),
    slots: [],
  });
  expect(self?.startedAt).toBeGreaterThan(before - 1000);
});

it("shows an allocation with its owner, addresses, permissions, channels and live traffic", async () => {
  const { relay, list, get } = await startWithAdmin();
  const client = await relay.connect("udp");
  const { relayed } = await client.allocate();
  const peer = await startPeer();
  const heard = inbox(client);
  await client.createPermission(["127.0.0.1"]);
  await client.channelBind(peer.address);
  client.send(peer.address, bytes("hello"));
  expect((await heard.next()).text).toBe("echo:hello");
  const [allocation] = (await list({}, ALL)).allocations;
  if (allocation === undefined) throw new Error("nothing is listed");
  expect(allocation).toEqual({
    id: expect.stringMatching(/^[A-Za-z0-9_-]{16}$/),
    relay: "relay-7",
    tenant: "default",
    user: "alice",
    username: "alice",
    transport: "udp",
    client: { ip: "127.0.0.1", port: expect.any(Number) },
    createdAt: expect.any(Number),
    relayed: [
      {
        address: relayed,
        expiresAt: expect.any(Number),
        permissions: [{ ip: "127.0.0.1", expiresAt: expect.any(Number) }],
        channels: [{ number: 0x4000, peer: peer.address, expiresAt: expect.any(Number) }],
      },
    ],
    traffic: { packetsToPeers: 1, bytesToPeers: 5, packetsToClient: 1, bytesToClient: 10, readAt: expect.any(Number) },
  });
  const [address] = allocation.relayed;
  expect((address?.expiresAt ?? 0) - allocation.createdAt).toBeGreaterThan(599_000);
  const again = await get(allocation.id);
  expect({ ...again, traffic: { ...again.traffic, readAt: 0 } }).toEqual({
    ...allocation,
    traffic: { ...allocation.traffic, readAt: 0 },
  });
});

it("lists in pages, by tenant, user and relay", async () => {
  const { relay, list, terminate } = await startWithAdmin();
  for (let index = 0; index < 5; index++) {
    for (const { username, password } of USERS) await (await relay.connect("udp", { username, password })).allocate();
  }
  expect((await list({}, ALL)).allocations).toHaveLength(10);
  expect((await list({}, ALL)).next).toBeUndefined();
  const seen: string[] = [];
  let token: string | undefined;
  for (let page = 0; page < 4; page++) {
    const { allocations, next } = await list(
      { user: "bob" },
      { limit: 2, ...(token === undefined ? {} : { after: token }) },
    );
    seen.push(...allocations.map(({ id }) => id));
    for (const { tenant } of allocations) expect(tenant).toBe("acme");
    // The last of a page may end before the next page is asked for.
    if (page === 0) await terminate(seen[1] ?? "");
    token = next;
    if (next === undefined) break;
  }
  expect(new Set(seen).size).toBe(5);
  expect((await list({ tenant: "acme", user: "alice" }, ALL)).allocations).toEqual([]);
  expect((await list({ relay: "relay-7" }, ALL)).allocations).toHaveLength(9);
  expect((await list({ relay: "relay-8" }, ALL)).allocations).toEqual([]);
  await expect(list({}, { limit: 1001 })).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
  await expect(list({}, { limit: 1, after: "x" })).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
});

it("ends an allocation, and says so where there is none", async () => {
  const { relay, list, get, terminate } = await startWithAdmin();
  const client = await relay.connect("tcp");
  await client.allocate();
  const id = (await list({}, ALL)).allocations[0]?.id ?? "";
  await terminate(id);
  expect((await list({}, ALL)).allocations).toEqual([]);
  expect((await failure(client.refresh())).message).toBeTruthy();
  for (const attempt of [terminate(id), get(id), terminate(""), terminate("../*")]) {
    await expect(attempt).rejects.toMatchObject({ code: status.NOT_FOUND });
  }
  expect(relay.logs).toContainEqual(expect.objectContaining({ allocation: id, from: "127.0.0.1" }));
});

it("drains: no new allocations, refreshes as before, ready all the time; and back", async () => {
  const { relay, relays, drain, undrain } = await startWithAdmin();
  const old = await relay.connect("udp");
  await old.allocate();
  expect(await drain("relay-7")).toMatchObject({ identity: "relay-7", state: "draining" });
  await drain("relay-7");
  expect(await relay.metric("culvert_relay_draining")).toBe(1);
  const late = await relay.connect("udp");
  expect(await failure(late.allocate())).toMatchObject({ code: 508 });
  expect(await old.refresh()).toBeGreaterThan(0);
  expect(relay.service.ready().ready).toBe(true);
  expect(await relays()).toMatchObject([{ state: "draining", allocations: 1 }]);
  expect(await undrain("relay-7")).toMatchObject({ state: "serving" });
  expect((await late.allocate()).lifetime).toBeGreaterThan(0);
  for (const attempt of [drain("relay-8"), undrain(""), drain("relay-7 ")]) {
    await expect(attempt).rejects.toMatchObject({ code: status.NOT_FOUND });
  }
});

it("does not take a stopping relay back into service", async () => {
  const { relay, relays, undrain } = await startWithAdmin({ drain: { timeout: 30 } });
  const client = await relay.connect("udp");
  await client.allocate();
  const stopped = relay.service.stop();
  await expect.poll(async () => (await relays())[0]?.state).toBe("draining");
  await expect(undrain("relay-7")).rejects.toMatchObject({ code: status.FAILED_PRECONDITION });
  await client.refresh(0);
  await stopped;
});

it("lets one watch: what is there, and what begins, changes and ends, with the final traffic", async () => {
  const { relay, follow, terminate } = await startWithAdmin();
  const early = await relay.connect("udp", USERS[1]);
  await early.allocate();
  const all = follow();
  const ofAlice = follow({ user: "alice" });
  await expect.poll(() => [all.changes.length, ofAlice.changes.length]).toEqual([1, 1]);
  expect(all.changes[0]).toMatchObject({ type: "snapshot", first: true, last: true, allocations: [{ user: "bob" }] });
  expect(ofAlice.changes[0]).toMatchObject({ type: "snapshot", first: true, last: true, allocations: [] });
  const client = await relay.connect("udp");
  await client.allocate();
  const peer = await startPeer({ echo: false });
  await client.createPermission(["127.0.0.1"]);
  await client.channelBind(peer.address);
  client.send(peer.address, bytes("12345"));
  await expect.poll(() => peer.received).toEqual(["12345"]);
  await client.refresh();
  await expect
    .poll(() => ofAlice.changes.at(-1))
    .toMatchObject({
      type: "refreshed",
      allocation: { user: "alice", relayed: [{ permissions: [{}], channels: [{ number: 0x4000 }] }] },
    });
  const created = ofAlice.changes.find(({ type }) => type === "created");
  const id = created?.type === "created" ? created.allocation.id : "";
  await early.refresh(0);
  await terminate(id);
  await expect
    .poll(() => ofAlice.changes.at(-1))
    .toMatchObject({
      type: "deleted",
      reason: "terminated",
      allocation: { id, traffic: { packetsToPeers: 1, bytesToPeers: 5 } },
    });
  await expect
    .poll(() => all.changes.filter(({ type }) => type === "deleted"))
    .toMatchObject([{ reason: "refresh", allocation: { user: "bob" } }, { reason: "terminated" }]);
  expect(ofAlice.changes.filter(({ type }) => type === "deleted")).toHaveLength(1);
});

it("ends watches with the relay", async () => {
  const { relay, follow } = await startWithAdmin();
  const { changes, ended } = follow();
  await expect.poll(() => changes.length).toBe(1);
  await relay.service.stop();
  expect(await ended).toMatchObject({ code: status.UNAVAILABLE });
});

it("answers nothing without the token, and slows down who guesses", async () => {
  const { relay, list } = await startWithAdmin();
  const client = await relay.connect("udp");
  await client.allocate();
  const id = (await list({}, ALL)).allocations[0]?.id ?? "";
  const answers: unknown[] = [];
  const outcome = async (attempt: Promise<unknown>): Promise<unknown> => {
    const error = await attempt.catch((rejected: unknown) => rejected);
    const code = error instanceof Error && "code" in error ? error.code : error;
    answers.push(code);
    return code;
  };
  for (const credentials of [{}, { token: "wrong" }, { token: `${TOKEN}x` }]) {
    const stranger = operator(relay, credentials);
    const attempts = [
      stranger.list({}, ALL),
      stranger.terminate(id),
      stranger.drain("relay-7"),
      stranger.follow().ended,
    ];
    for (const attempt of attempts) await outcome(attempt);
  }
  // Who is slow is forgiven a failure now and then.
  const guesser = operator(relay, { token: "wrong" });
  await expect.poll(() => outcome(guesser.list({}, ALL))).toBe(status.RESOURCE_EXHAUSTED);
  const refused = answers.filter((code) => code !== status.RESOURCE_EXHAUSTED);
  expect(refused.length).toBeGreaterThanOrEqual(10);
  expect(new Set(refused)).toEqual(new Set([status.UNAUTHENTICATED]));
  expect(await relay.metric("culvert_relay_admin_auth_failures_total")).toBe(refused.length);
  expect(await client.refresh()).toBeGreaterThan(0);
  expect(relay.logs.map((line) => JSON.stringify(line)).join()).not.toContain(TOKEN);
});

it("asks for a certificate of its authority where it is told to", async () => {
  const folder = mkdtempSync(join(tmpdir(), "culvert-admin-"));
  later(() => rmSync(folder, { recursive: true }));
  const pem = await generate([{ name: "commonName", value: "127.0.0.1" }], {
    keyType: "ec",
    extensions: [{ name: "subjectAltName", altNames: [{ type: 7, ip: "127.0.0.1" }] }],
  });
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  writeFileSync(cert, pem.cert);
  writeFileSync(key, pem.private);
  const relay = await startRelay({ grpc: { port: 0, tls: { cert, key, ca: cert } } }, { env });
  const relays = (tls: ClientCredentials["tls"]): Promise<number> =>
    operator(relay, tls === undefined ? {} : { tls })
      .relays()
      .then(
        (found) => found.length,
        (error: { code: number }) => -error.code,
      );
  expect(await relays({ ca: pem.cert, cert: pem.cert, key: pem.private })).toBe(1);
  expect(await relays({ ca: pem.cert })).toBe(-status.UNAVAILABLE);
  expect(await relays(undefined)).toBe(-status.UNAVAILABLE);
});

it("is off unless configured, and never open to everybody", async () => {
  expect((await startRelay()).info.grpc).toBeUndefined();
  await expect(startRelay({ grpc: { port: 0 } })).rejects.toThrow(
    /^relay\.grpc\.token: .*must be set, or relay\.grpc\.tls\.ca/,
  );
  const taken = await startWithAdmin();
  const port = taken.relay.info.grpc?.port;
  await expect(startRelay({ grpc: { port, token: TOKEN } })).rejects.toThrow(
    new RegExp(`^relay\\.grpc\\.port: ${port}: cannot listen on 127\\.0\\.0\\.1`),
  );
});
