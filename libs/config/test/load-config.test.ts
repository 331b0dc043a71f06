import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ConfigError, configSchema, coturn, loadConfig, secret } from "@culvert/config";
import { expect, test } from "vitest";
import { z } from "zod";
import { temporaryFolder } from "./folder.ts";

const schema = z.strictObject({
  realm: z.string().default("culvert"),
  ports: coturn(
    z.strictObject({ min: coturn(z.int().min(1).max(65535), "min-port"), max: z.int().min(1).max(65535) }),
    "x",
  )
    .default({ min: 49152, max: 65535 })
    .refine((ports) => ports.min <= ports.max, { path: ["min"], message: "must not exceed ports.max" }),
  maxBps: z.int().positive().optional().describe("Bytes per second"),
  listeners: z
    .array(z.strictObject({ transport: z.enum(["udp", "tcp", "tls"]), port: z.int().min(0).max(65535) }))
    .default([]),
  allow: z.array(z.string()).default([]),
  relay: z
    .array(z.union([z.string(), z.strictObject({ ip: z.string(), external: z.string().optional() })]))
    .default([]),
  secrets: secret(z.array(z.string().min(8))).default([]),
  token: secret(z.string().min(8)).optional(),
  verbose: z.boolean().default(false),
});

function file(text: string): string {
  const path = join(temporaryFolder(), "culvert.yaml");
  writeFileSync(path, text);
  return path;
}

const load = (env: Record<string, string>, yaml?: string, overrides: Record<string, unknown> = {}) =>
  loadConfig(schema, { section: "relay", env, overrides, ...(yaml === undefined ? {} : { file: file(yaml) }) });

function message(env: Record<string, string>, yaml?: string): string {
  try {
    load(env, yaml);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    const text = error instanceof Error ? error.message : "";
    expect(text).not.toContain("\n");
    return text;
  }
  return "no error";
}

test("defaults, file, environment and overrides follow each other", () => {
  const yaml = "relay:\n  realm: file\n  ports: {min: 1000, max: 2000}\n  verbose: true\nstun: {other: 1}\n";
  expect(load({}).realm).toBe("culvert");
  expect(load({}, yaml)).toMatchObject({ realm: "file", ports: { min: 1000, max: 2000 }, verbose: true });
  expect(load({ CULVERT_RELAY_PORTS_MIN: "1500" }, yaml).ports).toEqual({ min: 1500, max: 2000 });
  expect(load({ CULVERT_RELAY_REALM: "env" }, yaml, { realm: "flag" }).realm).toBe("flag");
});

test("a variable for a list or a mapping is YAML; a plain list may have commas", () => {
  expect(load({ CULVERT_RELAY_LISTENERS: "[{transport: udp, port: 3478}]" }).listeners).toEqual([
    { transport: "udp", port: 3478 },
  ]);
  expect(load({ CULVERT_RELAY_PORTS: "{min: 1, max: 2}", CULVERT_RELAY_PORTS_MAX: "3" }).ports).toEqual({
    min: 1,
    max: 3,
  });
  expect(load({ CULVERT_RELAY_ALLOW: "10.0.0.0/8, ::1/128" }).allow).toEqual(["10.0.0.0/8", "::1/128"]);
  expect(load({ CULVERT_RELAY_ALLOW: "[10.0.0.0/8, '::1/128']" }).allow).toEqual(["10.0.0.0/8", "::1/128"]);
});

test("text is not read as YAML", () => {
  expect(load({ CULVERT_RELAY_REALM: "1e3" }).realm).toBe("1e3");
  expect(load({ CULVERT_RELAY_REALM: "[a" }).realm).toBe("[a");
});

test("an empty variable and an empty key count as not set", () => {
  expect(load({ CULVERT_RELAY_REALM: "" }, "relay:\n  maxBps:\n").realm).toBe("culvert");
});

test("the result is frozen all the way down", () => {
  const config = load({ CULVERT_RELAY_LISTENERS: "[{transport: udp, port: 1}]" });
  expect(Object.isFrozen(config)).toBe(true);
  expect(Object.isFrozen(config.ports)).toBe(true);
  expect(Object.isFrozen(config.listeners[0])).toBe(true);
});

test.each([
  [{ CULVERT_RELAY_PORTS_MIN: "70000" }, "relay.ports.min: 70000: must be 1 to 65535 (CULVERT_RELAY_PORTS_MIN)"],
  [{ CULVERT_RELAY_PORTS_MIN: "a b" }, "relay.ports.min: a b: must be 1 to 65535 (CULVERT_RELAY_PORTS_MIN)"],
  [
    { CULVERT_RELAY_PORTS: "{min: 5, max: 4}" },
    "relay.ports.min: 5: must not exceed ports.max (CULVERT_RELAY_PORTS_MIN)",
  ],
  [{ CULVERT_RELAY_MAX_BPS: "-1" }, "relay.maxBps: -1: must be more than 0 (CULVERT_RELAY_MAX_BPS)"],
  [{ CULVERT_RELAY_VERBOSE: "maybe" }, "relay.verbose: maybe: must be true or false (CULVERT_RELAY_VERBOSE)"],
  [
    { CULVERT_RELAY_LISTENERS: "[{transport: sctp, port: 1}]" },
    "relay.listeners[0].transport: sctp: must be one of udp, tcp, tls (CULVERT_RELAY_LISTENERS)",
  ],
  [
    { CULVERT_RELAY_LISTENERS: "[{transport: udp}]" },
    "relay.listeners[0].port: missing: must be 0 to 65535 (CULVERT_RELAY_LISTENERS)",
  ],
  [{ CULVERT_RELAY_LISTENERS: "[{" }, "relay.listeners: [{: must be valid YAML (CULVERT_RELAY_LISTENERS)"],
  [{ CULVERT_RELAY_RELAY: "[{ip: 1}]" }, "relay.relay[0].ip: 1: must be text (CULVERT_RELAY_RELAY)"],
])("%o is refused", (env, expected) => {
  expect(message(env)).toBe(expected);
});

test("an unknown key is refused with the nearest known one", () => {
  expect(message({}, "relay: {realn: x}")).toBe("relay.realn: unknown key: the nearest known one is realm");
  expect(message({}, "relay: {ports: {mim: 1, max: 2}}")).toContain(
    "relay.ports.mim: unknown key: the nearest known one is min",
  );
  expect(message({}, "relay: {listeners: [{transprt: udp, port: 1}]}")).toContain("listeners[0].transprt: unknown key");
  expect(message({}, "rely: {realm: x}")).toContain("rely: unknown section");
  expect(message({ CULVERT_RELAY_REALN: "x" })).toBe(
    "CULVERT_RELAY_REALN: unknown variable: the nearest known one is CULVERT_RELAY_REALM",
  );
});

test("an option of coturn's is answered with the key that does the same", () => {
  for (const name of ["min-port", "min_port", "minPort"]) {
    expect(message({}, `relay: {${name}: 1}`)).toBe(
      `relay.${name}: unknown key: the nearest known one is relay.ports.min`,
    );
  }
});

test("variables that Kubernetes sets for a Service are no keys", () => {
  const env = {
    CULVERT_RELAY_SERVICE_HOST: "10.0.0.1",
    CULVERT_RELAY_SERVICE_PORT_TURN: "3478",
    CULVERT_RELAY_PORT: "tcp://10.0.0.1:3478",
    CULVERT_RELAY_PORT_3478_TCP_ADDR: "10.0.0.1",
  };
  expect(message(env)).toBe("no error");
});

test("a secret is never printed", () => {
  expect(message({ CULVERT_RELAY_TOKEN: "hunter" })).toBe(
    "relay.token: (secret): must be text of 8 characters or more (CULVERT_RELAY_TOKEN)",
  );
  expect(message({ CULVERT_RELAY_SECRETS: "[hunter]" })).not.toContain("hunter");
  expect(message({ CULVERT_RELAY_SECRETS: "{hunter: 1}" })).not.toContain("hunter");
  expect(message({ CULVERT_RELAY_SECRETS: "[hunter" })).not.toContain("hunter");
});

test("a secret may come from a file, without the line break at its end", () => {
  expect(load({ CULVERT_RELAY_TOKEN_FILE: file("correct horse\n") }).token).toBe("correct horse");
  expect(load({ CULVERT_RELAY_SECRETS_FILE: file("[correct horse]") }).secrets).toEqual(["correct horse"]);
  expect(message({ CULVERT_RELAY_TOKEN_FILE: "/does/not/exist" })).toBe(
    "CULVERT_RELAY_TOKEN_FILE: /does/not/exist: must name a readable file (ENOENT)",
  );
  expect(message({ CULVERT_RELAY_TOKEN_FILE: file("correct horse"), CULVERT_RELAY_TOKEN: "correct horse" })).toContain(
    "only one of the two",
  );
  expect(message({ CULVERT_RELAY_REALM_FILE: file("x") })).toContain("unknown variable");
});

test("a file that is no YAML or not there is refused", () => {
  expect(message({}, "relay: [")).toContain("must be valid YAML");
  expect(message({}, "relay: 5")).toBe("relay: 5: must be a mapping");
  expect(message({}, "- a")).toContain("must be a mapping with the sections");
  expect(() => loadConfig(schema, { section: "relay", env: {}, file: "/does/not/exist" })).toThrow(
    "--config: /does/not/exist: must name a readable file (ENOENT)",
  );
});

test("the JSON schema has descriptions, secrets and coturn's names", () => {
  expect(configSchema(schema)).toMatchObject({
    type: "object",
    additionalProperties: false,
    properties: {
      maxBps: { description: "Bytes per second" },
      token: { writeOnly: true },
      ports: { properties: { min: { coturn: ["min-port"], minimum: 1, maximum: 65535 } } },
    },
  });
});
