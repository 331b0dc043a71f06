import { loadConfig } from "@culvert/config";
import { relayConfigSchema } from "@culvert/relay-service";
import { expect, test } from "vitest";

const FLEET = {
  secrets: ["a secret that has the 32 characters it needs"],
  redis: { url: "redis://127.0.0.1:6379" },
};

function load(fleet: object, relay: object = {}, env: NodeJS.ProcessEnv = {}) {
  return loadConfig(relayConfigSchema, {
    section: "relay",
    env,
    overrides: { auth: { users: [{ username: "u", password: "p" }] }, ...relay, fleet: { ...FLEET, ...fleet } },
  });
}

test("a fleet's keys have defaults", () => {
  expect(load({}).fleet).toMatchObject({
    failover: "identity",
    lease: { ttl: 3, outage: 300 },
    slots: { ports: 512 },
    onStateLoss: "grant",
    usage: { interval: 60 },
  });
  expect(load({ mesh: { ip: "10.0.0.1" } }).fleet?.mesh).toEqual({ ip: "10.0.0.1", port: 3479 });
  expect(load({ advertise: ["192.0.2.1:3478", "[2001:db8::1]:3478"] }).fleet?.advertise).toEqual([
    { ip: "192.0.2.1", port: 3478 },
    { ip: "2001:db8::1", port: 3478 },
  ]);
});

test("without the section there is no fleet", () => {
  const config = loadConfig(relayConfigSchema, { section: "relay", env: {} });
  expect(config.fleet).toBeUndefined();
});

test("variables reach the section", () => {
  expect(
    load({}, {}, { CULVERT_RELAY_FLEET_FAILOVER: "address", CULVERT_RELAY_ADDRESSES: "192.0.2.1" }).fleet?.failover,
  ).toBe("address");
});

const BAD: readonly (readonly [string, object, object, RegExp])[] = [
  ["a short secret", { secrets: ["short"] }, {}, /^relay\.fleet\.secrets\[0\]: .*32 characters or more/],
  ["no secret", { secrets: [] }, {}, /^relay\.fleet\.secrets: /],
  ["an identity with spaces", { identity: "a b" }, {}, /^relay\.fleet\.identity: a b: must be 1 to 128 letters/],
  [
    "a wildcard for the mesh",
    { mesh: { ip: "0.0.0.0" } },
    {},
    /^relay\.fleet\.mesh\.ip: 0\.0\.0\.0: must be one address/,
  ],
  ["a lease of no time", { lease: { ttl: 0.1 } }, {}, /^relay\.fleet\.lease\.ttl: 0\.1: /],
  ["an address without a port", { advertise: ["192.0.2.1"] }, {}, /^relay\.fleet\.advertise\[0\]/],
  ["a key that is none", { failOver: "address" }, {}, /^relay\.fleet\.failOver: .*failover/],
  [
    "nonce keys of its own",
    {},
    { auth: { nonceKeys: ["0123456789abcdef"] } },
    /^relay\.auth\.nonceKeys: .*relay\.fleet\.secrets/,
  ],
  [
    "auto where addresses move",
    { failover: "address" },
    { addresses: ["auto"] },
    /^relay\.addresses\[0\]: .*must be an address where relayed addresses move/,
  ],
  [
    "a port that is any where addresses move",
    { failover: "address" },
    { addresses: ["192.0.2.1"], listeners: [{ transport: "udp", port: 0 }] },
    /^relay\.listeners\[0\]\.port: 0: must be set where relayed addresses move/,
  ],
  [
    "one frontend for two listeners",
    {},
    {
      listeners: [
        { transport: "udp", port: 3478, frontend: "lb" },
        { transport: "udp", port: 3479, frontend: "lb" },
      ],
    },
    /^relay\.listeners\[1\]\.frontend: lb: must not be another listener's/,
  ],
];

test.each(BAD)("%s is one line that names the key", (_, fleet, relay, message) => {
  let text = "";
  try {
    load(fleet, relay);
  } catch (error) {
    text = error instanceof Error ? error.message : "";
  }
  expect(text).toMatch(message);
  expect(text).not.toContain("\n");
});
