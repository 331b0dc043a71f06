import { loadConfig } from "@culvert/config";
import { createCredentialService, credentialConfigSchema } from "@culvert/credential-service";
import { createMemoryCredentialStore } from "@culvert/state";
import { createLogger, createMetrics } from "@culvert/telemetry";
import { expect, it } from "vitest";

const load = (overrides: Readonly<Record<string, unknown>>, env: NodeJS.ProcessEnv = {}): unknown =>
  loadConfig(credentialConfigSchema, { section: "credential", env, overrides });

it.each([
  [
    "a port beyond 65535",
    { http: { port: 70000 } },
    "credential.http.port: 70000: must be 0 to 65535 (CULVERT_CREDENTIAL_HTTP_PORT)",
  ],
  [
    "a URI of another kind",
    { uris: ["http://a"] },
    "credential.uris[0]: http://a: must be a stun:, stuns:, turn: or turns: URI (RFC 7064, RFC 7065) (CULVERT_CREDENTIAL_URIS)",
  ],
  [
    "an origin with a path",
    { http: { corsOrigins: ["https://a/b"] } },
    "credential.http.corsOrigins[0]: https://a/b: must be an origin such as https://app.example.org, or * (CULVERT_CREDENTIAL_HTTP_CORS_ORIGINS)",
  ],
  [
    "a short token, which is not printed",
    { adminToken: "short" },
    "credential.adminToken: (secret): must be text of 16 characters or more (CULVERT_CREDENTIAL_ADMIN_TOKEN)",
  ],
  [
    "a default above the most",
    { issue: { defaultTtl: 10, maxTtl: 5 } },
    "credential.issue.defaultTtl: 10: must not exceed credential.issue.maxTtl (CULVERT_CREDENTIAL_ISSUE_DEFAULT_TTL)",
  ],
  [
    "a kid that two tenants have",
    { tenants: ["a", "b"].map((id) => ({ id, keys: [{ kid: "k", secret: "a-secret-of-the-key" }] })) },
    "credential.tenants[1].keys[0].kid: k: must be unique (CULVERT_CREDENTIAL_TENANTS)",
  ],
  [
    "coturn's name of a key",
    { "static-auth-secret": "x" },
    "credential.static-auth-secret: unknown key: the nearest known one is credential.staticAuthSecrets",
  ],
])("names %s in one line", (_, overrides, message) => {
  expect(() => load(overrides)).toThrow(expect.objectContaining({ name: "ConfigError", message }));
});

it("reads secrets and lists from variables", () => {
  expect(
    load(
      {},
      { CULVERT_CREDENTIAL_STATIC_AUTH_SECRETS: "[one, two]", CULVERT_CREDENTIAL_PUBLIC_HOST: "turn.example.org" },
    ),
  ).toMatchObject({ staticAuthSecrets: ["one", "two"], publicHost: "turn.example.org" });
});

const start = async (overrides: Readonly<Record<string, unknown>>): Promise<unknown> => {
  const config = loadConfig(credentialConfigSchema, { section: "credential", env: {}, overrides });
  const service = createCredentialService(config, {
    store: createMemoryCredentialStore(),
    clock: Date.now,
    random: { bytes: (count) => new Uint8Array(count) },
    logger: createLogger({ service: "credential", level: "silent" }),
    metrics: createMetrics({ service: "credential", process: false }),
  });
  try {
    return await service.start();
  } finally {
    await service.stop();
  }
};
const ports = { http: { port: 0 }, ops: { port: 0 }, grpc: { port: 0 } };

it("names what is missing to tell clients where to go", async () => {
  await expect(start(ports)).rejects.toThrow(/^credential\.publicHost: missing: must be the name or address/);
});

it("names files that cannot be read", async () => {
  const tls = { cert: "/nonexistent/cert.pem", key: "/nonexistent/key.pem" };
  await expect(start({ ...ports, publicHost: "a", grpc: { port: 0, tls } })).rejects.toThrow(
    "credential.grpc.tls.cert: /nonexistent/cert.pem: must name a readable PEM file",
  );
});

it("names an id that is there with another meaning", async () => {
  const store = createMemoryCredentialStore();
  const base = { ...ports, publicHost: "a" };
  const withSecret = async (secret: string): Promise<void> => {
    const config = loadConfig(credentialConfigSchema, {
      section: "credential",
      env: {},
      overrides: { ...base, tenants: [{ id: "acme", keys: [{ kid: "k", secret }] }] },
    });
    const service = createCredentialService(config, {
      store,
      clock: Date.now,
      random: { bytes: (count) => new Uint8Array(count) },
      logger: createLogger({ service: "credential", level: "silent" }),
      metrics: createMetrics({ service: "credential", process: false }),
    });
    await service.start().finally(() => service.stop());
  };
  await withSecret("the-first-of-secrets");
  await expect(withSecret("another-of-secrets")).rejects.toThrow(
    "credential.tenants[0].keys[0].kid: k: is there already with another secret or for another tenant",
  );
});

it("names the port that is taken, and leaves nothing open", async () => {
  const { createServer } = await import("node:net");
  const holder = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => holder.once("listening", resolve));
  const address = holder.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  await expect(start({ ...ports, publicHost: "a", grpc: { port } })).rejects.toThrow(
    new RegExp(`^credential\\.grpc\\.port: ${port}: cannot listen on 127\\.0\\.0\\.1`),
  );
  await new Promise((resolve) => holder.close(resolve));
});

it("builds URIs from the public host and the relays' ports", async () => {
  const { urisOf } = await import("@culvert/credential-service");
  const turn = { stunPort: 3478, port: 3478, transports: ["udp", "tcp"] as const, tlsPort: 443 };
  expect(urisOf({ uris: [], publicHost: "2001:db8::1", turn })).toEqual({
    stun: ["stun:[2001:db8::1]:3478"],
    turn: [
      "turn:[2001:db8::1]:3478?transport=udp",
      "turn:[2001:db8::1]:3478?transport=tcp",
      "turns:[2001:db8::1]:443?transport=tcp",
    ],
  });
});
