import { expect, it } from "vitest";
import { ACME_SECRET, ADMIN, APP, NOW, type Running, startService, textAt, verifierOf } from "./service.ts";

const KEYS = "/v1/tenants/acme/keys";

async function issue({ call }: Running): Promise<string> {
  const { body } = await call("POST", "/v1/turn/keys/acme/credentials/generate", { token: APP, json: { ttl: 3600 } });
  return textAt(body, "iceServers.username");
}

it("are created with a random secret that is shown once, and listed without it", async () => {
  const { call } = await startService();
  const created = await call("POST", KEYS, { token: ADMIN, json: {} });
  expect(created).toMatchObject({ status: 201, body: { tenant: "acme", state: "active", createdAt: NOW } });
  expect(textAt(created.body, "kid")).toMatch(/^k[0-9a-f]{10}$/);
  expect(textAt(created.body, "secret")).toMatch(/^[A-Za-z0-9_-]{43}$/);
  const listed = await call("GET", KEYS, { token: ADMIN });
  expect(listed.body).toMatchObject({ keys: [{ kid: "acme-1" }, { kid: textAt(created.body, "kid") }] });
  expect(JSON.stringify(listed.body)).not.toContain("secret");
});

it("sign from the moment they are created, the newest first", async () => {
  const running = await startService();
  await running.call("POST", KEYS, { token: ADMIN, json: { kid: "acme-2", secret: "a-secret-of-my-own" } });
  expect(await issue(running)).toMatch(/^\d+:acme-2:/);
});

it("rotate with an overlap in which credentials of the old key are still good", async () => {
  const running = await startService();
  const { call, clock } = running;
  const verify = verifierOf(running);
  const before = await issue(running);
  const rotated = await call("POST", `${KEYS}/acme-1/rotate`, {
    token: ADMIN,
    json: { kid: "acme-2", overlapSeconds: 600 },
  });
  expect(rotated).toMatchObject({
    status: 201,
    body: {
      key: { kid: "acme-2", state: "active", secret: expect.any(String) },
      retired: { kid: "acme-1", state: "retiring", notAfter: NOW + 600 },
    },
  });
  const after = await issue(running);
  expect(after).toMatch(/^\d+:acme-2:/);
  expect([verify(before), verify(after)]).toEqual(["ok", "ok"]);
  clock.advance(599);
  expect([verify(before), verify(after)]).toEqual(["ok", "ok"]);
  clock.advance(1);
  expect([verify(before), verify(after)]).toEqual(["key-expired", "ok"]);
});

it("overlap for the longest lifetime of a credential unless told otherwise", async () => {
  const { call } = await startService({ issue: { defaultTtl: 60, maxTtl: 7200 } });
  const { body } = await call("POST", `${KEYS}/acme-1/rotate`, { token: ADMIN });
  expect(body).toMatchObject({ retired: { notAfter: NOW + 7200 } });
});

it("rotate once", async () => {
  const { call } = await startService();
  const answers = await Promise.all([1, 2, 3].map(() => call("POST", `${KEYS}/acme-1/rotate`, { token: ADMIN })));
  expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409]);
});

it("retire: they sign no more and verify until their end", async () => {
  const running = await startService();
  const verify = verifierOf(running);
  const before = await issue(running);
  const retired = await running.call("POST", `${KEYS}/acme-1/retire`, { token: ADMIN, json: { overlapSeconds: 60 } });
  expect(retired).toMatchObject({ status: 200, body: { state: "retiring", notAfter: NOW + 60 } });
  expect(verify(before)).toBe("ok");
  const refused = await running.call("POST", "/v1/turn/keys/acme/credentials/generate", { token: APP });
  expect(refused).toMatchObject({ status: 409 });
});

it("are deleted: what they signed is refused at once", async () => {
  const running = await startService();
  const verify = verifierOf(running);
  const before = await issue(running);
  expect(await running.call("DELETE", `${KEYS}/acme-1`, { token: ADMIN })).toMatchObject({ status: 204 });
  expect(verify(before)).toBe("unknown-key");
  expect(await running.call("DELETE", `${KEYS}/acme-1`, { token: ADMIN })).toMatchObject({ status: 404 });
});

it.each([
  ["a kid with a colon", { kid: "a:b" }, 400],
  ["a short secret", { secret: "short" }, 400],
  ["a kid that is taken", { kid: "acme-1" }, 409],
])("are not created with %s", async (_, json, status) => {
  const { call } = await startService();
  const answer = await call("POST", KEYS, { token: ADMIN, json });
  expect(answer.status).toBe(status);
  expect(JSON.stringify(answer.body)).not.toContain(ACME_SECRET);
});

it("are not found in tenants that are not there, nor under other tenants", async () => {
  const { call } = await startService();
  for (const [method, path] of [
    ["POST", "/v1/tenants/none/keys"],
    ["GET", "/v1/tenants/none/keys"],
    ["POST", "/v1/tenants/default/keys/acme-1/rotate"],
    ["POST", "/v1/tenants/default/keys/acme-1/retire"],
    ["DELETE", "/v1/tenants/default/keys/acme-1"],
    ["POST", `${KEYS}/none/rotate`],
  ] as const) {
    expect(await call(method, path, { token: ADMIN })).toMatchObject({ status: 404 });
  }
});
