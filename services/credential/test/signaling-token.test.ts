import { deriveSignalingKey } from "@culvert/credentials";
import { nodeCrypto } from "@culvert/testkit";
import { decodeProtectedHeader, jwtVerify } from "jose";
import { expect, it } from "vitest";
import { ACME_SECRET, ADMIN, APP, NOW, startService, textAt } from "./service.ts";

const PATH = "/v1/signaling/tokens";
const key = deriveSignalingKey(Buffer.from(ACME_SECRET), nodeCrypto);
const options = { audience: "culvert-signaling", algorithms: ["HS256"], currentDate: new Date(NOW * 1000) };

it("is a JWT under a key derived from the tenant's signing key", async () => {
  const { call } = await startService();
  const answer = await call("POST", PATH, { token: APP, json: { user: "alice", ttl: 600 } });
  expect(answer).toMatchObject({
    status: 201,
    body: { tenant: "acme", user: "alice", ttl: 600, expiresAt: NOW + 600 },
  });
  const token = textAt(answer.body, "token");
  expect(decodeProtectedHeader(token)).toEqual({ alg: "HS256", typ: "JWT", kid: "acme-1" });
  const { payload } = await jwtVerify(token, key, options);
  expect(payload).toEqual({
    tenant: "acme",
    sub: "alice",
    aud: "culvert-signaling",
    iat: NOW,
    exp: NOW + 600,
    jti: expect.any(String),
  });
  await expect(jwtVerify(token, Buffer.from(ACME_SECRET), options)).rejects.toThrow();
});

it("is issued after what was revoked of the user", async () => {
  const { call } = await startService();
  await call("POST", "/v1/tenants/acme/revocations", { token: APP, json: { user: "alice" } });
  const { body } = await call("POST", PATH, { token: APP, json: { user: "alice" } });
  const later = { ...options, currentDate: new Date((NOW + 1) * 1000) };
  expect((await jwtVerify(textAt(body, "token"), key, later)).payload.iat).toBe(NOW + 1);
});

it("is of the own tenant, or of any for the administrator", async () => {
  const { call } = await startService();
  const json = { user: "alice", tenant: "default" };
  expect(await call("POST", PATH, { token: APP, json })).toMatchObject({ status: 403 });
  expect(await call("POST", PATH, { token: ADMIN, json })).toMatchObject({ status: 201, body: { tenant: "default" } });
});

it.each([
  ["no user", {}, /^user: /],
  ["an empty user", { user: "" }, /^user: must be 1 to 128 bytes/],
  ["a lifetime that is too long", { user: "alice", ttl: 999_999 }, "ttl: must be 1 to 172800 seconds"],
])("is refused with %s", async (_, json, message) => {
  const { call } = await startService();
  const answer = await call("POST", PATH, { token: APP, json });
  expect(answer).toMatchObject({ status: 400, body: { error: { message: expect.stringMatching(message) } } });
});
