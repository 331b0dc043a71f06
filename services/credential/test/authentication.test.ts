import { expect, it } from "vitest";
import { ADMIN, APP, DEFAULT_APP, type Running, startService, textAt } from "./service.ts";

/** A path that matches a route's. */
const fill = (path: string): string => path.replaceAll(/:[a-zA-Z]+/g, "acme");

it("is demanded by every route but the document, before anything else is looked at", async () => {
  const { info, call } = await startService({ failures: { burst: 100 } });
  expect(info.routes.length).toBeGreaterThan(18);
  for (const route of info.routes) {
    const [method = "", path = ""] = route.split(" ");
    if (path === "/openapi.json") continue;
    const options = method === "GET" ? {} : { json: { nonsense: true } };
    const none = await call(method, fill(path), options);
    expect(`${route} ${none.status}`).toBe(`${route} 401`);
    const basic = Buffer.from("acme:wrong-token").toString("base64");
    const authorization = path.startsWith("/2010") ? `Basic ${basic}` : "Bearer wrong-token";
    const wrong = await call(method, fill(path), { ...options, headers: { authorization } });
    expect(`${route} ${wrong.status}`).toBe(`${route} 401`);
  }
});

it.each(["Bearer", "Bearer ", "bearer  a b", "Basic !!!", "Basic YQ==", "Digest x", `Token ${APP}`])(
  "does not take an authorization of %j",
  async (authorization) => {
    const { call } = await startService();
    const headers = { authorization };
    expect(await call("POST", "/v1/turn/keys/acme/credentials/generate", { headers })).toMatchObject({ status: 401 });
    expect(await call("POST", "/2010-04-01/Accounts/acme/Tokens.json", { headers })).toMatchObject({ status: 401 });
  },
);

const guess = ({ call }: Running, token: string): Promise<{ status: number; headers: Headers; body: unknown }> =>
  call("POST", "/v1/turn/keys/acme/credentials/generate", { token });

it("slows down a source that guesses, whatever it presents next, and forgives with time", async () => {
  const running = await startService({ failures: { burst: 3, perMinute: 6 } });
  for (let attempt = 0; attempt < 3; attempt++) expect((await guess(running, `wrong-${attempt}`)).status).toBe(401);
  const blocked = await guess(running, APP);
  expect(blocked.status).toBe(429);
  expect(blocked.headers.get("retry-after")).toBe("10");
  expect(blocked.body).toMatchObject({
    errors: [{ code: 429, message: "too many failed authentications; try again in 10 s" }],
  });
  running.clock.advance(10);
  expect((await guess(running, APP)).status).toBe(201);
  expect(await running.metrics()).toMatch(/culvert_credential_auth_failures_total\{via="http"\} 3/);
});

it("counts by the address that a trusted proxy tells, an IPv6 /64 as one; others are not believed", async () => {
  const from = ({ call }: Running, address: string): Promise<{ status: number }> =>
    call("GET", "/v1/tenants", { token: "wrong", headers: { "x-forwarded-for": address } });
  const behind = await startService({
    http: { port: 0, trustedProxies: ["127.0.0.1"] },
    failures: { burst: 1, perMinute: 1 },
  });
  expect((await from(behind, "192.0.2.1")).status).toBe(401);
  expect((await from(behind, "192.0.2.1")).status).toBe(429);
  expect((await from(behind, "192.0.2.2")).status).toBe(401);
  expect((await from(behind, "2001:db8::1")).status).toBe(401);
  expect((await from(behind, "2001:db8::ffff:2")).status).toBe(429);
  expect((await from(behind, "2001:db8:0:1::1")).status).toBe(401);

  const open = await startService({ failures: { burst: 1, perMinute: 1 } });
  expect((await from(open, "192.0.2.1")).status).toBe(401);
  expect((await from(open, "192.0.2.2")).status).toBe(429);
});

it("takes API tokens that were made, until they expire or are deleted", async () => {
  const running = await startService();
  const { call, clock } = running;
  const made = await call("POST", "/v1/tenants/acme/tokens", { token: ADMIN, json: { name: "app", ttl: 60 } });
  expect(made).toMatchObject({
    status: 201,
    body: { name: "app", tenant: "acme", scopes: ["credentials:issue", "credentials:revoke", "signaling:issue"] },
  });
  const token = textAt(made.body, "token");
  expect(token).toMatch(/^cvt_[A-Za-z0-9_-]{43}$/);
  expect((await guess(running, token)).status).toBe(201);

  const listed = await call("GET", "/v1/tenants/acme/tokens", { token: ADMIN });
  expect(listed.body).toMatchObject({ tokens: [{ id: "acme-app" }, { id: textAt(made.body, "id") }] });
  expect(JSON.stringify(listed.body)).not.toContain(token);
  expect(JSON.stringify(listed.body)).not.toContain("hash");

  clock.advance(60);
  expect((await guess(running, token)).status).toBe(401);
  expect(await call("DELETE", "/v1/tenants/acme/tokens/acme-app", { token: ADMIN })).toMatchObject({ status: 204 });
  expect((await guess(running, APP)).status).toBe(401);
  expect(await call("DELETE", "/v1/tenants/acme/tokens/acme-app", { token: ADMIN })).toMatchObject({ status: 404 });
});

it("keeps tokens hashed", async () => {
  const { store } = await startService();
  const tokens = await store.tokens("acme");
  expect(tokens).toMatchObject([{ id: "acme-app", hash: expect.stringMatching(/^[0-9a-f]{64}$/) }]);
  expect(JSON.stringify(tokens)).not.toContain(APP);
});

it("gives a token what its scopes say, in its own tenant", async () => {
  const { call } = await startService();
  const make = async (scopes: readonly string[], token = ADMIN): Promise<{ status: number; body: unknown }> =>
    call("POST", "/v1/tenants/acme/tokens", { token, json: { name: "x", scopes } });
  const keys = textAt((await make(["keys:admin"])).body, "token");
  expect(await call("GET", "/v1/tenants/acme/keys", { token: keys })).toMatchObject({ status: 200 });
  expect(await call("GET", "/v1/tenants/default/keys", { token: keys })).toMatchObject({
    status: 403,
    body: { error: { code: "forbidden", message: "the token does not have the scope keys:admin for this tenant" } },
  });
  for (const [method, path, json] of [
    ["POST", "/v1/turn/keys/acme/credentials/generate", {}],
    ["POST", "/v1/tenants/acme/revocations", { user: "a" }],
    ["POST", "/v1/signaling/tokens", { user: "a" }],
    ["POST", "/v1/tenants/acme/tokens", { name: "x" }],
    ["PATCH", "/v1/tenants/acme", {}],
    ["DELETE", "/v1/tenants/acme", undefined],
    ["GET", "/v1/tenants", undefined],
    ["POST", "/v1/tenants", { id: "mine" }],
  ] as const) {
    const answer = await call(method, path, { token: keys, ...(json === undefined ? {} : { json }) });
    expect(`${method} ${path} ${answer.status}`).toBe(`${method} ${path} 403`);
  }

  const minter = textAt((await make(["tokens:admin", "credentials:issue"])).body, "token");
  expect(await make(["credentials:issue"], minter)).toMatchObject({ status: 201 });
  expect(await make(["keys:admin"], minter)).toMatchObject({ status: 403 });

  const manager = textAt((await make(["tenants:admin"])).body, "token");
  expect(await call("PATCH", "/v1/tenants/acme", { token: manager, json: { name: "New" } })).toMatchObject({
    status: 200,
  });
  const raise = await call("PATCH", "/v1/tenants/acme", { token: manager, json: { quotas: {} } });
  expect(raise).toMatchObject({ status: 403 });
  expect(await call("GET", "/v1/tenants/acme", { token: DEFAULT_APP })).toMatchObject({ status: 403 });
});

it("has no administrator unless one is configured", async () => {
  const { call } = await startService({ adminToken: undefined });
  expect(await call("GET", "/v1/tenants", { token: ADMIN })).toMatchObject({ status: 401 });
});
