import { createHmac } from "node:crypto";
import { expect, it } from "vitest";
import { ADMIN, APP, DEFAULT_APP, NOW, SECRET, startService, textAt, URIS } from "./service.ts";

const coturnPassword = (username: string, secret = SECRET): string =>
  createHmac("sha1", secret).update(username).digest("base64");

it("answers GET /?service=turn&username=U&ttl=T with coturn's credentials for the default tenant", async () => {
  const { call } = await startService();
  const answer = await call("GET", "/?service=turn&username=alice&ttl=600", { token: DEFAULT_APP });
  expect(answer.status).toBe(200);
  expect(answer.body).toEqual({
    username: `${NOW + 600}:alice`,
    password: coturnPassword(`${NOW + 600}:alice`),
    ttl: 600,
    uris: URIS.turn,
  });
  expect(answer.headers.get("cache-control")).toBe("no-store");
  expect(answer.headers.get("content-type")).toMatch(/^application\/json/);
});

it.each([
  ["in the query", "?service=turn&username=alice&ttl=600", {}],
  ["in a form", "", { form: new URLSearchParams({ service: "turn", username: "alice", ttl: "600" }) }],
  ["in both", "?service=turn", { form: new URLSearchParams({ username: "alice", ttl: "600" }) }],
  ["as JSON", "", { json: { service: "turn", username: "alice", ttl: "600" } }],
])("answers POST with the parameters %s", async (_, query, options) => {
  const { call } = await startService();
  const answer = await call("POST", `/${query}`, { token: DEFAULT_APP, ...options });
  expect(answer).toMatchObject({ status: 200, body: { username: `${NOW + 600}:alice`, ttl: 600 } });
});

it("takes the API key as key=, in a form, as X-Api-Key, or as a bearer token", async () => {
  const { call } = await startService();
  const answers = await Promise.all([
    call("GET", `/?service=turn&key=${DEFAULT_APP}`),
    call("POST", "/", { form: new URLSearchParams({ service: "turn", key: DEFAULT_APP }) }),
    call("GET", "/?service=turn", { headers: { "x-api-key": DEFAULT_APP } }),
    call("GET", "/?service=turn", { token: DEFAULT_APP }),
    call("GET", "/?service=turn", { token: ADMIN }),
  ]);
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
});

it("gives each anonymous caller a user of its own, the default lifetime, and cuts a longer one", async () => {
  const { call } = await startService({ issue: { defaultTtl: 3600, maxTtl: 7200 } });
  const [first, second, long] = await Promise.all([
    call("GET", "/?service=turn", { token: DEFAULT_APP }),
    call("GET", "/?service=turn", { token: DEFAULT_APP }),
    call("GET", "/?service=turn&ttl=999999", { token: DEFAULT_APP }),
  ]);
  expect(first.body).toMatchObject({
    ttl: 3600,
    username: expect.stringMatching(new RegExp(`^${NOW + 3600}:anonymous-`)),
  });
  expect(textAt(first.body, "username")).not.toBe(textAt(second.body, "username"));
  expect(long.body).toMatchObject({ ttl: 7200 });
});

it("signs with the first of several static secrets", async () => {
  const { call } = await startService({ staticAuthSecrets: ["first-secret", "second-secret"] });
  const { body } = await call("GET", "/?service=turn&username=alice", { token: DEFAULT_APP });
  expect(textAt(body, "password")).toBe(coturnPassword(textAt(body, "username"), "first-secret"));
});

it("mints credentials with claims for other tenants", async () => {
  const { call } = await startService();
  const { body } = await call("GET", "/?service=turn&username=alice&ttl=60", { token: APP });
  expect(textAt(body, "username")).toMatch(new RegExp(`^${NOW + 60}:acme-1:[A-Za-z0-9_-]+$`));
});

it("mints with claims where the default tenant's quotas need saying", async () => {
  const { call } = await startService();
  await call("PATCH", "/v1/tenants/default", { token: ADMIN, json: { quotas: { allocationsPerUser: 2 } } });
  const { body } = await call("GET", "/?service=turn&username=alice", { token: DEFAULT_APP });
  const [, , claims = ""] = textAt(body, "username").split(":");
  expect(JSON.parse(Buffer.from(claims, "base64url").toString())).toMatchObject({ t: "default", u: "alice", a: 2 });
});

it.each([
  ["another service", "service=web", 'service: must be "turn"'],
  ["no service", "username=alice", /^service: /],
  ["a ttl that is no number", "service=turn&ttl=soon", "ttl: must be a number of seconds"],
  ["a ttl of 0", "service=turn&ttl=0", "ttl: must be a number of seconds"],
  ["a parameter that is not known", "service=turn&user=alice", /user/],
  ["a username with a line break", "service=turn&username=a%0d%0ab", /control characters/],
  ["a username that is too long", `service=turn&username=${"a".repeat(600)}`, /508/],
])("refuses %s with 400", async (_, query, message) => {
  const { call } = await startService();
  const answer = await call("GET", `/?${query}`, { token: DEFAULT_APP });
  expect(answer.status).toBe(400);
  expect(answer.body).toEqual({ error: { code: expect.any(String), message: expect.stringMatching(message) } });
});

it("refuses when the tenant has nothing to sign with", async () => {
  const { call } = await startService({ staticAuthSecrets: [] });
  expect(await call("GET", "/?service=turn", { token: DEFAULT_APP })).toMatchObject({
    status: 409,
    body: { error: { code: "conflict", message: "the tenant has no active signing key" } },
  });
});
