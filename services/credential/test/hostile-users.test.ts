import { mintCredential } from "@culvert/credentials";
import { nodeCrypto } from "@culvert/testkit";
import { expect, it } from "vitest";
import { ACME_SECRET, ADMIN, APP, DEFAULT_APP, NOW, startService, textAt, verifierOf } from "./service.ts";

const HOSTILE = [
  "%n%s%x",
  ":{}",
  "*",
  ">",
  "a.b.>",
  "$" + "{jndi:ldap://x}",
  "__proto__",
  "constructor",
  "'; DROP--",
  "../../etc",
  "<b>",
  "a:b:c",
  "\u202e",
  "🙂",
];

it.each(HOSTILE)("issues for the user %j, who can be revoked alone", async (user) => {
  const running = await startService();
  const { call } = running;
  const verify = verifierOf(running);
  const issue = async (name: string): Promise<string> => {
    const { body } = await call("POST", "/v1/turn/keys/acme/credentials/generate", {
      token: APP,
      json: { user: name },
    });
    return textAt(body, "iceServers.username");
  };
  const [theirs, other] = [await issue(user), await issue("alice")];
  const rest = await call("GET", `/?service=turn&username=${encodeURIComponent(user)}`, { token: DEFAULT_APP });
  const restName = textAt(rest.body, "username");
  expect(restName).toBe(`${NOW + 86400}:${user}`);
  expect([verify(theirs), verify(other), verify(restName)]).toEqual(["ok", "ok", "ok"]);

  await call("POST", "/v1/tenants/acme/revocations", { token: ADMIN, json: { user } });
  const revoke = `/v1/turn/keys/default/credentials/${encodeURIComponent(restName)}/revoke`;
  expect(await call("POST", revoke, { token: DEFAULT_APP })).toMatchObject({ status: 204 });
  expect([verify(theirs), verify(other), verify(restName)]).toEqual(["revoked", "ok", "revoked"]);
});

it.each(["a\r\nX: y", "a\0b", "\u0007", "\u007f", "\u0085", "\ud800"])("refuses the user %j", async (user) => {
  const { call, store } = await startService();
  const json = { user };
  expect(await call("POST", "/v1/turn/keys/acme/credentials/generate", { token: APP, json })).toMatchObject({
    status: 400,
  });
  expect(await call("POST", "/v1/signaling/tokens", { token: APP, json })).toMatchObject({ status: 400 });
  expect(await call("POST", "/v1/tenants/acme/revocations", { token: APP, json })).toMatchObject({ status: 400 });
  expect(await store.revocations("acme")).toEqual([]);
});

it("does not take a REST user who calls himself `<kid>:<claims>` for one with claims", async () => {
  const running = await startService();
  const key = { tenant: "acme", kid: "acme-1", secret: Buffer.from(ACME_SECRET), state: "active" } as const;
  const claims = { tenant: "acme", user: "root", maxAllocations: 1000 };
  const { username } = mintCredential({ key, claims, expiresAt: NOW + 60 }, nodeCrypto);
  const user = username.slice(username.indexOf(":") + 1);
  const rest = await running.call("GET", `/?service=turn&ttl=60&username=${user}`, { token: DEFAULT_APP });
  expect(textAt(rest.body, "username")).toBe(username);
  const real = mintCredential({ key, claims, expiresAt: NOW + 60 }, nodeCrypto);
  expect(textAt(rest.body, "password")).not.toBe(real.password);
});

it("keeps tokens, secrets, passwords and users out of logs and metrics, one event a line", async () => {
  const { call, lines, metrics } = await startService();
  const { body } = await call("GET", `/?service=turn&username=mallory%25n&key=${DEFAULT_APP}`);
  await call("GET", "/?service=turn&username=mallory&key=secret-guess-of-mallory");
  const made = await call("POST", "/v1/tenants/acme/keys", { token: ADMIN, json: {} });
  const text = lines.join("") + (await metrics());
  for (const hidden of [
    DEFAULT_APP,
    ADMIN,
    APP,
    "mallory",
    textAt(body, "password"),
    textAt(made.body, "secret"),
    ACME_SECRET,
  ]) {
    expect(text).not.toContain(hidden);
  }
  for (const line of lines) expect(() => JSON.parse(line)).not.toThrow();
});
