import { createHmac } from "node:crypto";
import { expect, it } from "vitest";
import { ACME_SECRET, ADMIN, APP, DEFAULT_APP, NOW, startService, textAt, URIS } from "./service.ts";

const BASE = "/v1/turn/keys/acme-1/credentials";
const claimsOf = (username: string): unknown =>
  JSON.parse(Buffer.from(username.split(":")[2] ?? "", "base64url").toString());

it("generates a list of iceServers, STUN first and without credentials", async () => {
  const { call } = await startService();
  const { status, body } = await call("POST", `${BASE}/generate-ice-servers`, { token: APP, json: { ttl: 86400 } });
  expect(status).toBe(201);
  expect(body).toEqual({
    iceServers: [
      { urls: URIS.stun },
      { urls: URIS.turn, username: expect.any(String), credential: expect.any(String) },
    ],
  });
  const username = textAt(body, "iceServers.1.username");
  expect(username).toMatch(new RegExp(`^${NOW + 86400}:acme-1:[A-Za-z0-9_-]+$`));
  expect(claimsOf(username)).toEqual({ t: "acme", u: expect.stringMatching(/^anonymous-/), i: NOW });
  const password = createHmac("sha256", ACME_SECRET).update(username).digest("base64");
  expect(textAt(body, "iceServers.1.credential")).toBe(password);
});

it("generates iceServers as one object", async () => {
  const { call } = await startService();
  const { status, body } = await call("POST", `${BASE}/generate`, { token: APP, json: { ttl: 60 } });
  expect(status).toBe(201);
  expect(body).toEqual({
    iceServers: { urls: [...URIS.stun, ...URIS.turn], username: expect.any(String), credential: expect.any(String) },
  });
});

it("leaves STUN out where there is none, and takes URIs that are known late", async () => {
  let turn: readonly string[] = [];
  const { call } = await startService({ uris: [] }, { uris: () => ({ stun: [], turn }) });
  turn = ["turn:127.0.0.1:40001?transport=udp"];
  const { body } = await call("POST", `${BASE}/generate-ice-servers`, { token: APP });
  expect(body).toMatchObject({ iceServers: [{ urls: turn }] });
});

it("puts what was asked for into the claims", async () => {
  const { call } = await startService();
  const json = {
    ttl: 60,
    user: "alice",
    clientIp: "2001:DB8::7",
    peerCidrs: ["198.51.100.0/24"],
    maxBps: 125000,
    maxAllocations: 3,
  };
  const { body } = await call("POST", `${BASE}/generate`, { token: APP, json });
  expect(claimsOf(textAt(body, "iceServers.username"))).toEqual({
    t: "acme",
    u: "alice",
    i: NOW,
    c: "2001:db8::7",
    p: ["198.51.100.0/24"],
    b: 125000,
    a: 3,
  });
});

it("takes customIdentifier for user, and defaults for an empty body or none", async () => {
  const { call } = await startService();
  const named = await call("POST", `${BASE}/generate`, { token: APP, json: { ttl: 60, customIdentifier: "bob" } });
  expect(claimsOf(textAt(named.body, "iceServers.username"))).toMatchObject({ u: "bob" });
  const bare = await call("POST", `${BASE}/generate`, { token: APP });
  expect(textAt(bare.body, "iceServers.username")).toMatch(new RegExp(`^${NOW + 86400}:`));
  const empty = await call("POST", `${BASE}/generate`, { token: APP, headers: { "content-type": "application/json" } });
  expect(empty.status).toBe(201);
});

it.each([
  ["more than 48 hours", { ttl: 172_801 }, "ttl: must be 1 to 172800 seconds"],
  ["no time at all", { ttl: 0 }, "ttl: must be 1 second or more"],
  ["a lifetime as text", { ttl: "60" }, /^ttl: /],
  ["a client IP that is none", { clientIp: "1.2.3" }, "clientIp: must be an IPv4 or IPv6 address"],
  ["a prefix with bits too many", { peerCidrs: ["10.1.2.3/8"] }, /write 10\.0\.0\.0\/8$/],
  ["a rate of 0", { maxBps: 0 }, /^maxBps: must be bytes per second/],
  ["no allocations", { maxAllocations: 0 }, /^maxAllocations: /],
  ["an empty user", { user: "" }, /^user: must be 1 to 128 bytes/],
  ["a user beyond 128 bytes", { user: "é".repeat(65) }, /^user: must be 1 to 128 bytes/],
  ["a claim that is misspelt", { peerCidr: ["10.0.0.0/8"] }, /peerCidr/],
  ["two names", { user: "a", customIdentifier: "b" }, /^customIdentifier: /],
  [
    "claims that do not fit a USERNAME",
    { peerCidrs: Array.from({ length: 16 }, (_, index) => `2001:db8:1234:${index + 1000}::/64`) },
    /^the username would take \d+ bytes; 508 is the most that TURN allows: use a shorter user or fewer peerCidrs$/,
  ],
  ["a body that is no object", [], /body/],
])("refuses %s, in the envelope of Cloudflare's API", async (_, json, message) => {
  const { call } = await startService();
  const { status, body } = await call("POST", `${BASE}/generate-ice-servers`, { token: APP, json });
  expect(status).toBe(400);
  expect(body).toEqual({
    success: false,
    errors: [{ code: 400, message: expect.stringMatching(message) }],
    messages: [],
    result: null,
  });
});

it("refuses a wrong token, and does not know the keys of others", async () => {
  const { call } = await startService();
  const wrong = await call("POST", `${BASE}/generate`, { token: "wrong", json: {} });
  expect(wrong).toMatchObject({ status: 401, body: { success: false, errors: [{ code: 401 }] } });
  expect(wrong.headers.get("www-authenticate")).toBe('Bearer realm="culvert"');
  expect(await call("POST", `${BASE}/generate`, { json: {} })).toMatchObject({ status: 401 });
  const foreign = await call("POST", `${BASE}/generate`, { token: DEFAULT_APP, json: {} });
  const unknown = await call("POST", "/v1/turn/keys/none/credentials/generate", { token: DEFAULT_APP, json: {} });
  expect(foreign).toMatchObject({ status: 404 });
  expect(foreign.body).toEqual(unknown.body);
});

it("takes the tenant's id for a key id, which outlasts rotations; a key that was rotated out stands for its successor", async () => {
  const { call } = await startService();
  await call("POST", "/v1/tenants/acme/keys/acme-1/rotate", { token: ADMIN, json: { kid: "acme-2" } });
  for (const id of ["acme", "acme-1", "acme-2"]) {
    const { body } = await call("POST", `/v1/turn/keys/${id}/credentials/generate`, { token: APP, json: {} });
    expect(textAt(body, "iceServers.username")).toMatch(/^\d+:acme-2:/);
  }
  await call("DELETE", "/v1/tenants/acme/keys/acme-1", { token: ADMIN });
  const gone = await call("POST", "/v1/turn/keys/acme-1/credentials/generate", { token: APP, json: {} });
  expect(gone.status).toBe(404);
});

it("holds credentials to the tenant's quotas and limits", async () => {
  const { call } = await startService();
  const quotas = { allocationsPerUser: 4, bytesPerSecond: 1000 };
  await call("PATCH", "/v1/tenants/acme", { token: ADMIN, json: { quotas, limits: { maxTtl: 300 } } });
  const given = await call("POST", `${BASE}/generate`, { token: APP, json: { user: "alice" } });
  expect(claimsOf(textAt(given.body, "iceServers.username"))).toMatchObject({ a: 4, b: 1000 });
  expect(textAt(given.body, "iceServers.username")).toMatch(new RegExp(`^${NOW + 300}:`));
  const less = await call("POST", `${BASE}/generate`, { token: APP, json: { maxAllocations: 1 } });
  expect(claimsOf(textAt(less.body, "iceServers.username"))).toMatchObject({ a: 1, b: 1000 });
  for (const [json, message] of [
    [{ maxAllocations: 5 }, "maxAllocations: must not exceed the tenant's 4"],
    [{ ttl: 301 }, "ttl: must be 1 to 300 seconds"],
  ]) {
    expect(await call("POST", `${BASE}/generate`, { token: APP, json })).toMatchObject({
      status: 400,
      body: { errors: [{ message }] },
    });
  }
});

it("revokes a username with 204 and no body, also one that has expired", async () => {
  const { call, clock, store } = await startService();
  const { body } = await call("POST", `${BASE}/generate`, { token: APP, json: { ttl: 60 } });
  const username = textAt(body, "iceServers.username");
  const path = `${BASE}/${encodeURIComponent(username)}/revoke`;
  expect(await call("POST", path, { token: APP })).toMatchObject({ status: 204, body: undefined });
  expect(await store.revocations("acme")).toEqual([
    { tenant: "acme", subject: { kind: "username", username }, revokedAt: NOW, expiresAt: NOW + 60 },
  ]);
  expect(await call("POST", `${BASE}/${username}/revoke`, { token: APP })).toMatchObject({ status: 204 });
  clock.advance(61);
  expect(await call("POST", path, { token: APP })).toMatchObject({ status: 204 });
});

it("does not revoke what the tenant cannot have issued", async () => {
  const { call, store } = await startService();
  const { body } = await call("POST", `${BASE}/generate`, { token: APP, json: { ttl: 60 } });
  const own = textAt(body, "iceServers.username");
  const forever = own.replace(/^\d+/, "999999999999");
  for (const username of ["alice", `${NOW + 60}:alice`, forever, "%00", "x".repeat(600)]) {
    const answer = await call("POST", `${BASE}/${encodeURIComponent(username)}/revoke`, { token: APP });
    expect(answer).toMatchObject({ status: 404, body: { success: false } });
  }
  const foreign = `/v1/turn/keys/default/credentials/${encodeURIComponent(own)}/revoke`;
  expect(await call("POST", foreign, { token: DEFAULT_APP })).toMatchObject({ status: 404 });
  expect(await store.revocations("acme")).toEqual([]);
});
