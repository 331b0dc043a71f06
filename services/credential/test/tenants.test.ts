import { expect, it } from "vitest";
import { ADMIN, APP, NOW, startService, textAt } from "./service.ts";

const other = { id: "other", name: "Other", quotas: { allocationsPerUser: 3 }, limits: { maxTtl: 600 } };

it("are created, read, listed, changed and deleted by the administrator", async () => {
  const { call } = await startService();
  const created = { ...other, createdAt: NOW, version: 1 };
  expect(await call("POST", "/v1/tenants", { token: ADMIN, json: other })).toMatchObject({
    status: 201,
    body: created,
  });
  expect(await call("GET", "/v1/tenants/other", { token: ADMIN })).toMatchObject({ status: 200, body: created });
  expect((await call("GET", "/v1/tenants", { token: ADMIN })).body).toMatchObject({
    tenants: [{ id: "acme" }, { id: "default" }, { id: "other" }],
  });
  const changed = await call("PATCH", "/v1/tenants/other", { token: ADMIN, json: { name: "New", quotas: {} } });
  expect(changed).toMatchObject({
    status: 200,
    body: { name: "New", quotas: {}, limits: { maxTtl: 600 }, version: 2 },
  });
  expect(await call("DELETE", "/v1/tenants/other", { token: ADMIN })).toMatchObject({ status: 204 });
  expect(await call("GET", "/v1/tenants/other", { token: ADMIN })).toMatchObject({
    status: 404,
    body: { error: { code: "not_found", message: "there is no such tenant" } },
  });
});

it("are listed a hundred at a time", async () => {
  const { call, store } = await startService();
  for (let index = 0; index < 120; index++) {
    const id = `t${String(index).padStart(3, "0")}`;
    await store.createTenant({ id, name: id, quotas: {}, limits: {}, createdAt: NOW, version: 1 });
  }
  const first = await call("GET", "/v1/tenants", { token: ADMIN });
  expect(first.body).toMatchObject({ next: "t097" });
  const second = await call("GET", `/v1/tenants?after=${textAt(first.body, "next")}`, { token: ADMIN });
  expect(second.body).toMatchObject({ tenants: { length: 22 } });
  expect(second.body).not.toHaveProperty("next");
});

it("take their keys and tokens along", async () => {
  const { call } = await startService();
  await call("DELETE", "/v1/tenants/acme", { token: ADMIN });
  expect(await call("POST", "/v1/turn/keys/acme/credentials/generate", { token: APP })).toMatchObject({ status: 401 });
  expect(await call("POST", "/v1/turn/keys/acme-1/credentials/generate", { token: ADMIN })).toMatchObject({
    status: 404,
  });
});

it.each([
  ["an id with a dot", { id: "a.b" }, /^id: must be 1 to 64 letters/],
  ["no id", { name: "x" }, /^id: /],
  ["a quota of 0", { id: "x", quotas: { allocationsPerUser: 0 } }, "quotas.allocationsPerUser: must be 1 or more"],
  ["a quota that is not known", { id: "x", quotas: { users: 3 } }, /^quotas: .*users/],
])("are not created with %s", async (_, json, message) => {
  const { call } = await startService();
  const answer = await call("POST", "/v1/tenants", { token: ADMIN, json });
  expect(answer).toMatchObject({
    status: 400,
    body: { error: { code: "invalid_request", message: expect.stringMatching(message) } },
  });
});

it("conflict where an id is taken, or is the one that stays", async () => {
  const { call } = await startService();
  expect(await call("POST", "/v1/tenants", { token: ADMIN, json: { id: "acme" } })).toMatchObject({ status: 409 });
  expect(await call("DELETE", "/v1/tenants/default", { token: ADMIN })).toMatchObject({ status: 409 });
});
