import { expect, it } from "vitest";
import { ADMIN, APP, DEFAULT_APP, NOW, startService, textAt, URIS } from "./service.ts";

const PATH = "/2010-04-01/Accounts/acme/Tokens.json";
const basic = ["acme", APP] as const;

it("answers POST .../Accounts/{Sid}/Tokens.json with a Token", async () => {
  const { call } = await startService();
  const { status, body } = await call("POST", PATH, { basic, form: new URLSearchParams({ Ttl: "86400" }) });
  const username = textAt(body, "username");
  const credential = textAt(body, "password");
  expect(status).toBe(201);
  expect(username).toMatch(new RegExp(`^${NOW + 86400}:acme-1:`));
  expect(body).toEqual({
    username,
    password: credential,
    ttl: "86400",
    account_sid: "acme",
    date_created: "Tue, 14 Nov 2023 22:13:20 +0000",
    date_updated: "Tue, 14 Nov 2023 22:13:20 +0000",
    ice_servers: [
      ...URIS.stun.map((uri) => ({ url: uri, urls: uri })),
      ...URIS.turn.map((uri) => ({ url: uri, urls: uri, username, credential })),
    ],
  });
});

it("takes the default lifetime without a body, and further claims", async () => {
  const { call } = await startService();
  expect(await call("POST", PATH, { basic })).toMatchObject({ status: 201, body: { ttl: "86400" } });
  const form = new URLSearchParams({ User: "alice", ClientIp: "192.0.2.1", MaxBps: "9", MaxAllocations: "2" });
  form.append("PeerCidrs", "198.51.100.0/24");
  form.append("PeerCidrs", "203.0.113.0/24");
  const { body } = await call("POST", PATH, { basic, form });
  const claims = Buffer.from(textAt(body, "username").split(":")[2] ?? "", "base64url").toString();
  expect(JSON.parse(claims)).toMatchObject({
    u: "alice",
    c: "192.0.2.1",
    p: ["198.51.100.0/24", "203.0.113.0/24"],
    b: 9,
    a: 2,
  });
});

it("authenticates with the account SID or the token's id", async () => {
  const { call } = await startService();
  expect(await call("POST", PATH, { basic: ["acme-app", APP] })).toMatchObject({ status: 201 });
  expect(await call("POST", PATH, { basic: ["acme", ADMIN] })).toMatchObject({ status: 201 });
  for (const wrong of [
    ["acme", "wrong"],
    ["other", APP],
    ["default", DEFAULT_APP],
    ["acme", DEFAULT_APP],
  ] as const) {
    const answer = await call("POST", PATH, { basic: wrong });
    expect(answer.status).toBe(401);
    expect(answer.body).toEqual({
      code: 20003,
      message: expect.any(String),
      more_info: "https://www.twilio.com/docs/errors/20003",
      status: 401,
    });
    expect(answer.headers.get("www-authenticate")).toBe('Basic realm="culvert"');
  }
});

it.each([
  ["text for a lifetime", { Ttl: "soon" }],
  ["more than 48 hours", { Ttl: "172801" }],
  ["a field that is not known", { TTL: "60" }],
  ["a client IP that is none", { ClientIp: "x" }],
])("refuses %s in the shape of Twilio's errors", async (_, fields) => {
  const { call } = await startService();
  const { status, body } = await call("POST", PATH, { basic, form: new URLSearchParams(fields) });
  expect(status).toBe(400);
  expect(body).toMatchObject({ code: 20001, status: 400 });
});

it("knows no other accounts, for the administrator", async () => {
  const { call } = await startService();
  const answer = await call("POST", "/2010-04-01/Accounts/none/Tokens.json", { basic: ["none", ADMIN] });
  expect(answer).toMatchObject({ status: 404, body: { code: 20404, status: 404 } });
});
