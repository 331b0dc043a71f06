import { createMemoryCredentialStore } from "@culvert/state";
import { expect, it } from "vitest";
import { ADMIN, APP, DEFAULT_APP, startService } from "./service.ts";

it("answers the probes and counts what it does", async () => {
  const { info, call, service } = await startService();
  const ops = `http://${info.ops?.host}:${info.ops?.port}`;
  expect((await fetch(`${ops}/healthz/live`)).status).toBe(200);
  const ready = await fetch(`${ops}/healthz/ready`);
  expect(ready.status).toBe(200);
  expect(await ready.json()).toEqual({ ready: true, checks: { serving: "ok", store: "ok" } });

  await call("GET", "/?service=turn", { token: DEFAULT_APP });
  await call("POST", "/v1/turn/keys/acme/credentials/generate", { token: APP });
  await call("POST", "/v1/turn/keys/acme/credentials/generate", { token: APP, json: { clientIp: "x" } });
  await call("POST", "/v1/turn/keys/acme/credentials/generate", { token: "wrong" });
  await call("POST", "/v1/tenants/acme/revocations", { token: ADMIN, json: { user: "alice" } });
  await call("GET", "/nowhere");
  await call("PUT", "/nowhere/else");
  const text = await (await fetch(`${ops}/metrics`)).text();
  for (const line of [
    'culvert_credential_minted_total{shape="turn-rest",scheme="rest"} 1',
    'culvert_credential_minted_total{shape="cloudflare",scheme="minted"} 1',
    'culvert_credential_refused_total{shape="cloudflare",reason="invalid_claims"} 1',
    'culvert_credential_refused_total{shape="cloudflare",reason="unauthenticated"} 1',
    'culvert_credential_revoked_total{subject="user"} 1',
    "culvert_credential_signing_keys 2",
    "culvert_credential_revocations 1",
    'culvert_credential_http_request_duration_seconds_count{route="/",method="GET"} 1',
    'culvert_credential_http_requests_total{route="/",method="GET",status="200"} 1',
    'culvert_credential_http_requests_total{route="none",method="any",status="404"} 2',
  ]) {
    expect(text).toContain(line);
  }
  await service.stop();
  expect(service.ready()).toMatchObject({ ready: false });
  await service.stop();
});

it("starts again on a store that has been started on, and keeps what was changed there", async () => {
  const store = createMemoryCredentialStore();
  const first = await startService({}, { store });
  await first.call("PATCH", "/v1/tenants/acme", { token: ADMIN, json: { name: "Changed" } });
  await first.call("POST", "/v1/tenants/acme/keys/acme-1/rotate", { token: ADMIN, json: { kid: "acme-2" } });
  await first.service.stop();
  const second = await startService({}, { store });
  expect((await second.call("GET", "/v1/tenants/acme", { token: ADMIN })).body).toMatchObject({ name: "Changed" });
  expect((await second.call("GET", "/v1/tenants/acme/keys", { token: ADMIN })).body).toMatchObject({
    keys: [
      { kid: "acme-1", state: "retiring" },
      { kid: "acme-2", state: "active" },
    ],
  });
});

it("switches off the key feed and the ops server", async () => {
  const { info } = await startService({ grpc: { enabled: false }, ops: { enabled: false } });
  expect(info).not.toHaveProperty("grpc");
  expect(info).not.toHaveProperty("ops");
});
