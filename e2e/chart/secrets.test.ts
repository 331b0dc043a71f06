import { describe, expect, test } from "vitest";
import { render } from "./support/helm.ts";
import { find, named, podOf, pods } from "./support/manifests.ts";
import type { Manifest } from "./support/model.ts";
import { loadedConfig } from "./support/process.ts";

/** `secret/key` of all that a pod reads. */
function secretsOf(manifests: readonly Manifest[], component: string): readonly string[] {
  const { spec } = podOf(manifests, component);
  const sources = spec.volumes?.flatMap(({ projected }) => projected?.sources ?? []) ?? [];
  const projected = sources.flatMap(({ secret }) => (secret?.items ?? []).map(({ key }) => `${secret?.name}/${key}`));
  const whole = spec.volumes?.flatMap(({ secret }) => (secret === undefined ? [] : [`${secret.secretName}/*`])) ?? [];
  return [...projected, ...whole].sort();
}

describe("secrets that nobody gave", () => {
  const manifests = render();

  test("are made, long enough for what they are for", () => {
    const { data = {} } = find(manifests, "Secret", "culvert-secrets");
    const texts = Object.entries(data).map(([key, value]) => [key, Buffer.from(value, "base64").toString()] as const);
    expect(texts.map(([key]) => key).sort()).toEqual([
      ...["admin-token", "api-token", "fleet-secrets", "key-feed-token", "relay-admin-token", "stun-partner-token"],
      "tenants.yaml",
    ]);
    for (const [key, text] of texts) if (key !== "tenants.yaml") expect.soft(text, key).toMatch(/^[A-Za-z0-9]{40,}$/);
    expect(new Set(texts.map(([, text]) => text)).size).toBe(texts.length);
  });

  test("are the same at both ends", () => {
    const of = (component: "credential" | "signaling" | "relay") =>
      loadedConfig(manifests, podOf(manifests, component), component);
    const { grpc, tenants } = of("credential");
    expect(grpc).toMatchObject({ token: expect.stringMatching(/^\w{40}$/) });
    const token = typeof grpc === "object" && grpc !== null && "token" in grpc ? grpc.token : undefined;
    for (const follower of ["signaling", "relay"] as const) {
      expect(of(follower)).toMatchObject({
        credential: { target: "culvert-credential-internal.voice.svc:9090", token },
      });
    }
    const apiToken = Buffer.from(find(manifests, "Secret", "culvert-secrets").data?.["api-token"] ?? "", "base64");
    expect(tenants).toMatchObject([{ id: "default", keys: [{}], tokens: [{ token: apiToken.toString() }] }]);
  });

  test("no pod reads more of them than it needs", () => {
    const own = (...keys: readonly string[]): readonly string[] => keys.map((key) => `culvert-secrets/${key}`);
    const servers = ["culvert-nats/password", "culvert-redis/password"];
    expect(secretsOf(manifests, "credential")).toEqual([
      ...servers,
      ...own("admin-token", "key-feed-token", "tenants.yaml"),
    ]);
    expect(secretsOf(manifests, "signaling")).toEqual(["culvert-nats/password", ...own("key-feed-token")]);
    expect(secretsOf(manifests, "relay")).toEqual([
      ...servers,
      ...own("fleet-secrets", "key-feed-token", "relay-admin-token"),
    ]);
    expect(secretsOf(manifests, "stun")).toEqual([]);
  });

  test("stand nowhere but in Secrets", () => {
    const secrets = manifests.filter(({ kind }) => kind === "Secret");
    const rest = JSON.stringify(manifests.filter(({ kind }) => kind !== "Secret"));
    const texts = secrets.flatMap(({ data = {} }) => Object.values(data));
    for (const text of texts) {
      expect(rest).not.toContain(text);
      expect(rest).not.toContain(Buffer.from(text, "base64").toString());
    }
  });
});

describe("secrets from outside", () => {
  const manifests = render({ file: "production-hostnetwork-values.yaml" });

  test("leave the chart none to make", () => {
    expect(named(manifests, "Secret")).toEqual([]);
  });

  test("are read by the keys that they have there", () => {
    expect(secretsOf(manifests, "relay")).toEqual([
      ...["culvert-tokens/fleet-secrets", "culvert-tokens/key-feed-token", "culvert-tokens/relay-admin-token"],
      ...["key-feed/ca.crt", "nats-culvert/culvert.creds"],
      ...["redis-ca/ca.crt", "redis-ca/tls.crt", "redis-ca/tls.key", "redis-culvert/redis", "redis-culvert/sentinel"],
      "turn-example-org/*",
    ]);
    expect(secretsOf(manifests, "credential")).toEqual([
      ...["coturn-secrets/static-auth-secrets"],
      ...["culvert-tokens/admin", "culvert-tokens/key-feed-token", "culvert-tokens/tenants.yaml"],
      ...["key-feed/ca.crt", "key-feed/tls.crt", "key-feed/tls.key", "nats-culvert/culvert.creds"],
      ...["redis-ca/ca.crt", "redis-ca/tls.crt", "redis-ca/tls.key", "redis-culvert/redis", "redis-culvert/sentinel"],
    ]);
    expect(secretsOf(manifests, "stun")).toEqual(["culvert-tokens/stun-partner-token", "turn-example-org/*"]);
  });

  test("may be two at once: the first signs, both are taken", () => {
    expect(loadedConfig(manifests, podOf(manifests, "relay"), "relay")).toMatchObject({
      fleet: { secrets: ["n".repeat(40), "o".repeat(40)] },
    });
    expect(loadedConfig(manifests, podOf(manifests, "credential"), "credential")).toMatchObject({
      staticAuthSecrets: ["the-new-one", "the-old-one"],
    });
  });

  test("reach Redis and NATS as they are to be reached", () => {
    expect(loadedConfig(manifests, podOf(manifests, "relay"), "relay")).toMatchObject({
      fleet: {
        redis: {
          sentinels: ["sentinel-0.redis:26379", "sentinel-1.redis:26379"],
          master: "culvert",
          username: "culvert",
          sentinelUsername: "sentinel",
          password: expect.any(String),
          sentinelPassword: expect.any(String),
          tls: {
            ca: "/run/culvert/secrets/redis-ca.crt",
            cert: "/run/culvert/secrets/redis-tls.crt",
            key: "/run/culvert/secrets/redis-tls.key",
          },
        },
        nats: { credentials: "/run/culvert/secrets/nats.creds", tls: {} },
      },
    });
    const cluster = render({ file: "everything-values.yaml" });
    expect(loadedConfig(cluster, podOf(cluster, "relay"), "relay")).toMatchObject({
      fleet: {
        redis: { cluster: ["redis-0.redis:6379", "redis-1.redis"], prefix: "everything", password: expect.any(String) },
        nats: { servers: ["tls://nats.nats:4222"], user: "culvert", password: expect.any(String) },
      },
    });
  });
});

test("where a pod reads a Secret of the chart, it names the keys", () => {
  for (const { owner, spec } of pods(render({ file: "default-values.yaml" }))) {
    for (const { secret } of spec.volumes?.flatMap(({ projected }) => projected?.sources ?? []) ?? []) {
      if (secret !== undefined) expect.soft(secret.items?.length, owner).toBeGreaterThan(0);
    }
  }
});

test("files with secrets are the group's to read, and nobody's to write", () => {
  for (const component of ["credential", "signaling", "relay"]) {
    const volume = podOf(render(), component).spec.volumes?.find(({ name }) => name === "secrets");
    expect(volume?.projected?.defaultMode).toBe(0o440);
  }
});
