import { WatchKeysResponse } from "@culvert/contracts";
import { createMemoryBus, subjectToken } from "@culvert/events";
import { expect, it } from "vitest";
import { ADMIN, APP, DEFAULT_APP, NOW, type Running, startService, textAt, verifierOf } from "./service.ts";

const PATH = "/v1/tenants/acme/revocations";

async function issue({ call }: Running, user: string): Promise<string> {
  const { body } = await call("POST", "/v1/turn/keys/acme/credentials/generate", { token: APP, json: { user } });
  return textAt(body, "iceServers.username");
}

it("of a username ends that credential and no other", async () => {
  const running = await startService();
  const verify = verifierOf(running);
  const first = await issue(running, "alice");
  running.clock.advance(1);
  const second = await issue(running, "alice");
  const answer = await running.call("POST", PATH, { token: APP, json: { username: first } });
  expect(answer).toMatchObject({
    status: 201,
    body: { username: first, revokedAt: NOW + 1, expiresAt: NOW + 86400 },
  });
  expect([verify(first), verify(second)]).toEqual(["revoked", "ok"]);
});

it("of a user ends all that was issued, to the second, and what is issued next is good", async () => {
  const running = await startService();
  const verify = verifierOf(running);
  const before = await issue(running, "alice");
  const neighbour = await issue(running, "bob");
  expect(await running.call("POST", PATH, { token: APP, json: { user: "alice" } })).toMatchObject({ status: 201 });
  const after = await issue(running, "alice");
  expect([verify(before), verify(after), verify(neighbour)]).toEqual(["revoked", "ok", "ok"]);
});

it("of a user of the default tenant ends REST credentials, and the next ones tell when they were issued", async () => {
  const running = await startService();
  const verify = verifierOf(running);
  const next = async (): Promise<string> => {
    const { body } = await running.call("GET", "/?service=turn&username=alice", { token: DEFAULT_APP });
    return textAt(body, "username");
  };
  const before = await next();
  expect(before).toBe(`${NOW + 86400}:alice`);
  await running.call("POST", "/v1/tenants/default/revocations", { token: DEFAULT_APP, json: { user: "alice" } });
  const after = await next();
  expect([verify(before), verify(after)]).toEqual(["revoked", "ok"]);
});

it("is listed while in force", async () => {
  const { call, clock } = await startService({ issue: { defaultTtl: 60, maxTtl: 100 } });
  await call("POST", PATH, { token: APP, json: { user: "alice" } });
  const entry = { user: "alice", revokedAt: NOW + 1, expiresAt: NOW + 101 };
  expect((await call("GET", PATH, { token: APP })).body).toEqual({ revocations: [entry] });
  clock.advance(101);
  expect((await call("GET", PATH, { token: APP })).body).toEqual({ revocations: [] });
});

it.each([
  ["neither", {}],
  ["both", { user: "a", username: "b" }],
  ["an empty user", { user: "" }],
  ["a user with NUL", { user: "a\0" }],
])("needs a username or a user, not %s", async (_, json) => {
  const { call } = await startService();
  expect(await call("POST", PATH, { token: APP, json })).toMatchObject({ status: 400 });
});

it("is limited for each tenant", async () => {
  const { call } = await startService({ maxRevocations: 2 });
  for (const user of ["a", "b"]) await call("POST", PATH, { token: APP, json: { user } });
  const answer = await call("POST", PATH, { token: APP, json: { user: "c" } });
  expect(answer).toMatchObject({ status: 429, body: { error: { code: "too_many_revocations" } } });
});

it("is published as a hint, without secrets", async () => {
  const bus = createMemoryBus();
  const messages: [string, WatchKeysResponse][] = [];
  await bus.subscribe("culvert.credential.>", ({ subject, data }) => {
    messages.push([subject, WatchKeysResponse.decode(data)]);
  });
  const { call } = await startService({}, { bus });
  await call("POST", PATH, { token: ADMIN, json: { user: "alice.*.>" } });
  await expect
    .poll(() => messages)
    .toEqual([
      [
        `culvert.credential.revoked.${subjectToken("acme")}`,
        expect.objectContaining({
          change: {
            $case: "revoked",
            value: expect.objectContaining({ tenant: "acme", subject: { $case: "user", value: "alice.*.>" } }),
          },
        }),
      ],
    ]);
});
