import { readFileSync } from "node:fs";
import { Ajv } from "ajv";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { helmValues } from "../../src/coturn/helm-values.ts";
import { COTURN_OPTIONS } from "../../src/coturn/options.ts";
import { translateCoturn } from "../../src/coturn/translate.ts";

const CHART = new URL("../../../charts/culvert/", import.meta.url);
const schema = JSON.parse(readFileSync(new URL("values.schema.json", CHART), "utf8"));
const validate = new Ajv({ strict: false, allErrors: true }).compile(schema);
const defaults: object = parse(readFileSync(new URL("values.yaml", CHART), "utf8"));

/** Values of a release: as Helm merges them. */
function merged(base: unknown, over: unknown): unknown {
  const isMapping = (value: unknown): value is Record<string, unknown> =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isMapping(base) || !isMapping(over)) return over;
  const keys = new Set([...Object.keys(base), ...Object.keys(over)]);
  return Object.fromEntries([...keys].map((key) => [key, key in over ? merged(base[key], over[key]) : base[key]]));
}

/** A value that each option takes. */
const VALUES: Readonly<Record<string, string>> = {
  "listening-ip": "192.0.2.1",
  "aux-server": "192.0.2.1:33478",
  "relay-ip": "192.0.2.1",
  "external-ip": "198.51.100.1/192.0.2.1",
  realm: "example.org",
  user: "alice:secret",
  "static-auth-secret": "north",
  cert: "/c.pem",
  pkey: "/k.pem",
  "allowed-peer-ip": "10.1.0.0-10.1.255.255",
  "denied-peer-ip": "192.168.0.0-192.168.255.255",
  "prometheus-address": "192.0.2.1",
  "min-port": "50000",
  "max-port": "60000",
  "stale-nonce": "900",
  "max-allocate-lifetime": "1800",
};

const EXCLUDED = ["no-udp", "no-tcp", "no-tls", "stun-only", "use-auth-secret", "static-auth-secret"];
const everything = Object.keys(COTURN_OPTIONS)
  .filter((name) => !EXCLUDED.includes(name))
  .map((name) => `${name}=${VALUES[name] ?? "7"}`);

describe("the chart's schema takes values from", () => {
  it.each([
    ["every option at once", everything],
    ["secrets", ["use-auth-secret", "static-auth-secret=north", "no-udp"]],
    ["TLS alone", ["cert=/c.pem", "pkey=/k.pem", "no-udp", "no-tcp"]],
    ["STUN alone", ["stun-only", "listening-ip=192.0.2.1", "listening-ip=192.0.2.2", "alt-listening-port=3490"]],
    ["nothing", []],
  ])("%s", (_name, lines) => {
    const { main } = helmValues(translateCoturn(lines.join("\n")), "turnserver.conf", "turn");
    validate(merged(defaults, parse(main) ?? {}));
    expect(validate.errors).toBeNull();
  });

  it("and would refuse others", () => {
    expect(validate(merged(defaults, { relay: { relam: "x" } }))).toBe(false);
  });
});
