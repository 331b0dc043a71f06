import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadConfig, readRedisAccess, redisSection } from "@culvert/config";
import { expect, test } from "vitest";
import { z } from "zod";
import { temporaryFolder } from "./folder.ts";

const schema = z.strictObject({ redis: redisSection("Everything is there.").optional() });
const KEY = "CULVERT_CREDENTIAL_REDIS";
const load = (values: Record<string, string>) =>
  loadConfig(schema, {
    section: "credential",
    env: Object.fromEntries(Object.entries(values).map(([key, value]) => [`${KEY}_${key}`, value])),
  }).redis;
const access = (values: Record<string, string>) => {
  const config = load(values);
  return config === undefined ? undefined : readRedisAccess("credential.redis", config);
};
const rest = { database: 0, prefix: "culvert", commandTimeoutMs: 2000 };

test("absent unless something is set", () => {
  expect(load({})).toBeUndefined();
});

test("a single server, Sentinels or a cluster", () => {
  expect(access({ URL: "redis://r" })).toEqual({ server: { kind: "standalone", host: "r", port: 6379 }, ...rest });
  expect(access({ URL: "rediss://[::1]:7/", DATABASE: "3", USERNAME: "u", PASSWORD: "p", PREFIX: "a" })).toEqual({
    server: { kind: "standalone", host: "::1", port: 7 },
    username: "u",
    password: "p",
    tls: {},
    ...rest,
    database: 3,
    prefix: "a",
  });
  const sentinel = { SENTINELS: "s-0,s-1:7,[::1]:8", MASTER: "m", SENTINEL_USERNAME: "u", SENTINEL_PASSWORD: "p" };
  expect(access({ ...sentinel, COMMAND_TIMEOUT: "0.5" })).toEqual({
    server: {
      kind: "sentinel",
      sentinels: [
        { host: "s-0", port: 26_379 },
        { host: "s-1", port: 7 },
        { host: "::1", port: 8 },
      ],
      master: "m",
      username: "u",
      password: "p",
    },
    ...rest,
    commandTimeoutMs: 500,
  });
  expect(access({ CLUSTER: "c-0,c-1:7" })).toEqual({
    server: {
      kind: "cluster",
      nodes: [
        { host: "c-0", port: 6379 },
        { host: "c-1", port: 7 },
      ],
    },
    ...rest,
  });
});

test.each([
  [{ PREFIX: "x" }, /^credential\.redis\.url: .*must be set, or sentinels/],
  [{ URL: "redis://me:sesame@host" }, /^credential\.redis\.url: .*keys of their own/],
  [{ URL: "redis://host/2" }, /^credential\.redis\.url: .*keys of their own/],
  [{ URL: "host:6379" }, /^credential\.redis\.url: .*must be redis:\/\//],
  [{ URL: "redis://a", CLUSTER: "b" }, /^credential\.redis\.cluster: .*the only one/],
  [{ SENTINELS: "a" }, /^credential\.redis\.master: .*with sentinels/],
  [{ SENTINELS: "redis://a", MASTER: "m" }, /^credential\.redis\.sentinels\[0\]: .*host:port/],
  [{ URL: "redis://a", MASTER: "m" }, /^credential\.redis\.master: .*sentinels only/],
  [{ CLUSTER: "a", DATABASE: "1" }, /^credential\.redis\.database: .*must be 0/],
  [{ URL: "redis://a", USERNAME: "u" }, /^credential\.redis\.password: .*with username/],
  [{ URL: "redis://a", TLS_CA: "ca.pem" }, /^credential\.redis\.url: .*rediss:\/\//],
  [{ URL: "redis://a", PREFIX: "{a}" }, /^credential\.redis\.prefix: .*letters/],
])("%j is refused in one line that names the key", (values, message) => {
  const text = failure(() => load(values));
  expect(text).toMatch(message);
  expect(text).not.toContain("\n");
});

test("reads the files of the certificates", () => {
  const ca = join(temporaryFolder(), "ca.pem");
  const read = () => access({ URL: "rediss://a", TLS_CA: ca });
  expect(failure(read)).toBe(`credential.redis.tls.ca: ${ca}: must name a readable PEM file (ENOENT)`);
  writeFileSync(ca, "pem");
  expect(read()).toMatchObject({ tls: { ca: "pem" } });
});

function failure(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return "no error";
}
