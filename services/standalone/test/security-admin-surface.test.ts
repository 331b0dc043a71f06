import { connectTurn } from "@culvert/turn-client";
import { expect, it } from "vitest";
import type { Ready } from "../src/ready.ts";
import { later, platformOnFreePorts } from "./harness.ts";

const ADMIN = "admin-token-of-this-test";
const MUTATING = ["POST", "PUT", "PATCH", "DELETE"];
/** What stands in the path of a thing that is there. */
const NAMES: Readonly<Record<string, string>> = {
  tenant: "default",
  sid: "default",
  kid: "local",
  keyId: "local",
  id: "local",
  username: "1800000000:alice",
};

const start = async (): Promise<Ready> => {
  const platform = await platformOnFreePorts({
    CULVERT_CREDENTIAL_ADMIN_TOKEN: ADMIN,
    // Otherwise what fails is refused for having failed too often.
    CULVERT_CREDENTIAL_FAILURES_BURST: "100000",
  });
  return platform.start();
};

interface Route {
  readonly method: string;
  readonly path: string;
}

/** By the document that the API serves about itself. */
async function routesOf({ apiUrl }: Ready): Promise<readonly Route[]> {
  const document: { readonly paths: Readonly<Record<string, object>> } = JSON.parse(
    await (await fetch(`${apiUrl}/openapi.json`)).text(),
  );
  return Object.entries(document.paths).flatMap(([template, operations]) =>
    Object.keys(operations).map((method) => ({
      method: method.toUpperCase(),
      path: template.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(NAMES[name] ?? name)),
    })),
  );
}

async function statusOf(url: string, method: string, headers: Record<string, string> = {}): Promise<number> {
  const body = MUTATING.includes(method) ? { body: "{}" } : {};
  const json = MUTATING.includes(method) ? { "content-type": "application/json" } : {};
  const response = await fetch(url, { method, headers: { ...json, ...headers }, redirect: "manual", ...body });
  await response.arrayBuffer();
  return response.status;
}

/** All that the API keeps, as its administrator sees it. */
async function stateOf({ apiUrl }: Ready): Promise<string> {
  const paths = ["", "/default", "/default/keys", "/default/tokens", "/default/revocations"];
  const texts = paths.map(async (path) =>
    (await fetch(`${apiUrl}/v1/tenants${path}`, { headers: { authorization: `Bearer ${ADMIN}` } })).text(),
  );
  return (await Promise.all(texts)).join("\n");
}

/** Other ways to write a request that some layer may take for the same. */
const DISGUISES: readonly ((
  route: Route,
) => readonly [method: string, path: string, headers?: Record<string, string>])[] = [
  ({ method, path }) => [method, `${path}/`],
  ({ method, path }) => [method, `/${path}`],
  ({ method, path }) => [method, `/.${path}`],
  ({ method, path }) => [method, path.toUpperCase()],
  ({ method, path }) => [method, path.replace("/v1", "/%76%31")],
  ({ method, path }) => [method, `${path}?token=&key=&_method=${method}`],
  ({ method, path }) => ["POST", path, { "x-http-method-override": method }],
  ({ method, path }) => [method, path, { "x-forwarded-for": "127.0.0.1", "x-real-ip": "127.0.0.1" }],
  ({ method, path }) => [method, path, { "x-original-url": "/openapi.json", "x-rewrite-url": "/openapi.json" }],
  ({ method, path }) => [method, path, { authorization: "Bearer undefined" }],
  ({ method, path }) => [method, path, { authorization: "Basic Og==" }],
  ({ method, path }) => [method, path, { "x-api-key": "" }],
];

it("answers 401 on every route without a token, and in disguise it answers nothing better", async () => {
  const ready = await start();
  const routes = (await routesOf(ready)).filter(({ path }) => path !== "/openapi.json");
  expect(routes.filter(({ method }) => MUTATING.includes(method)).length).toBeGreaterThan(10);
  const before = await stateOf(ready);
  for (const route of routes) {
    const name = `${route.method} ${route.path}`;
    expect(`${name} ${await statusOf(ready.apiUrl + route.path, route.method)}`).toBe(`${name} 401`);
    for (const disguise of DISGUISES) {
      const [method, path, headers] = disguise(route);
      const status = await statusOf(ready.apiUrl + path, method, headers);
      expect([400, 401, 404, 405, 415], `${method} ${path} ${JSON.stringify(headers)}`).toContain(status);
    }
  }
  expect(await stateOf(ready)).toBe(before);
  expect(before).toContain("local");
});

it("answers to nothing that mutates on any other port", async () => {
  const ready = await start();
  const paths = [...new Set((await routesOf(ready)).map(({ path }) => path)), "/metrics", "/healthz/live", "/debug"];
  const signaling = new URL(ready.signalingUrl);
  const others = [...Object.values(ready.opsUrls), `http://${signaling.host}`];
  expect(others).toHaveLength(5);
  for (const url of others) {
    for (const path of [...paths, signaling.pathname]) {
      for (const method of MUTATING) {
        expect([400, 404, 405, 426], `${method} ${url}${path}`).toContain(await statusOf(url + path, method));
      }
    }
  }
});

it("cuts the live allocation of a user who is revoked, within 5 s", async () => {
  const ready = await start();
  const call = (path: string, body: unknown): Promise<Response> =>
    fetch(ready.apiUrl + path, {
      method: "POST",
      headers: { authorization: `Bearer ${ADMIN}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  const answer = await call("/v1/turn/keys/local/credentials/generate", { ttl: 600, user: "mallory" });
  const issued: { readonly iceServers: { readonly username: string; readonly credential: string } } = JSON.parse(
    await answer.text(),
  );
  const { username, credential: password } = issued.iceServers;
  const client = await connectTurn({ uri: `turn:127.0.0.1:${ready.turn.port}?transport=udp`, username, password });
  later(() => client.close({ release: false }));
  await client.allocate();
  expect((await call("/v1/tenants/default/revocations", { user: "mallory" })).status).toBe(201);
  await expect
    .poll(async () => (await fetch(`${ready.opsUrls.relay}/metrics`)).text(), { timeout: 5000 })
    .toMatch(/^culvert_relay_allocations 0$/m);
  await expect(client.allocate()).rejects.toMatchObject({ code: 401 });
});
