import { ConfigError, loadConfig } from "@culvert/config";
import { createRelayService, relayConfigSchema, resolveRelayAddresses } from "@culvert/relay-service";
import { expect, test } from "vitest";

const load = (overrides: Readonly<Record<string, unknown>>, env: Record<string, string> = {}) =>
  loadConfig(relayConfigSchema, { section: "relay", env, overrides });

const problem = (overrides: Readonly<Record<string, unknown>>, env: Record<string, string> = {}): string => {
  try {
    createRelayService(load({ auth: { secrets: ["s"] }, ...overrides }, env));
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return error instanceof Error ? error.message : "";
  }
  return "no error";
};

test("the defaults are those of the RFC and of coturn", () => {
  expect(load({})).toMatchObject({
    realm: "culvert",
    listeners: [
      { transport: "udp", ip: "0.0.0.0", port: 3478 },
      { transport: "tcp", ip: "0.0.0.0", port: 3478 },
    ],
    addresses: [{ ip: "auto" }],
    ports: { min: 49_152, max: 65_535 },
    lifetime: { default: 600, max: 3600 },
  });
});

test("relay addresses are addresses, auto, coturn's public/private, or mappings", () => {
  const addresses = ["10.0.0.5", "auto", "203.0.113.5/10.0.0.6", { ip: "10.0.0.7", external: "203.0.113.7" }];
  expect(load({ addresses }).addresses).toEqual([
    { ip: "10.0.0.5" },
    { ip: "auto" },
    { ip: "10.0.0.6", external: "203.0.113.5" },
    { ip: "10.0.0.7", external: "203.0.113.7" },
  ]);
  expect(load({}, { CULVERT_RELAY_ADDRESSES: "203.0.113.5/auto,10.0.0.8" }).addresses).toEqual([
    { ip: "auto", external: "203.0.113.5" },
    { ip: "10.0.0.8" },
  ]);
});

test("auto is the first address that is not loopback, IPv4 before IPv6", () => {
  const host = [
    { address: "127.0.0.1", internal: true },
    { address: "fe80::1", internal: false },
    { address: "2001:db8:0::1", internal: false },
    { address: "10.0.0.5", internal: false },
  ];
  expect(resolveRelayAddresses([{ ip: "auto", external: "203.0.113.5" }], host)).toEqual([
    { ip: "10.0.0.5", external: "203.0.113.5" },
  ]);
  expect(resolveRelayAddresses([{ ip: "auto" }], host.slice(0, 3))).toEqual([{ ip: "2001:db8::1" }]);
  expect(() => resolveRelayAddresses([{ ip: "auto" }], host.slice(0, 2))).toThrow(
    /^relay\.addresses\[0\]: auto: must be/,
  );
});

test.each([
  [{ ports: { min: 2, max: 1 } }, "relay.ports.min: 2: must not exceed relay.ports.max (CULVERT_RELAY_PORTS_MIN)"],
  [{ ports: { max: 65_536 } }, "relay.ports.max: 65536: must be 1 to 65535 (CULVERT_RELAY_PORTS_MAX)"],
  [
    { lifetime: { default: 4000 } },
    "relay.lifetime.default: 4000: must not exceed relay.lifetime.max (CULVERT_RELAY_LIFETIME_DEFAULT)",
  ],
  [
    { addresses: ["0.0.0.0"] },
    "relay.addresses[0]: 0.0.0.0: must be one address, since peers are told it; not a wildcard (CULVERT_RELAY_ADDRESSES)",
  ],
  [
    { listeners: [{ transport: "udp", ip: "0.0.0.0", port: 50_000 }] },
    "relay.listeners[0].port: 50000: must be outside of relay.ports (49152 to 65535), or on another address than the relayed ones (CULVERT_RELAY_LISTENERS)",
  ],
  [
    { listeners: [{ transport: "tls" }] },
    "relay.listeners[0].transport: tls: needs relay.tls.cert and relay.tls.key (CULVERT_RELAY_LISTENERS)",
  ],
  [
    { listeners: [{ transport: "tcp" }, { transport: "tcp" }] },
    "relay.listeners[1].port: 3478: must not be taken by another listener (CULVERT_RELAY_LISTENERS)",
  ],
  [
    { peers: { deny: ["10.0.0.0/33"] } },
    "relay.peers.deny[0]: 10.0.0.0/33: must be an IP address or a range such as 10.0.0.0/8 (CULVERT_RELAY_PEERS_DENY)",
  ],
  [
    { credential: { target: "credential" } },
    "relay.credential.target: credential: must be host:port, an IPv6 address in brackets (CULVERT_RELAY_CREDENTIAL_TARGET)",
  ],
  [
    { credential: { target: "c:1", tls: { ca: "/does/not/exist" } } },
    "relay.credential.tls.ca: /does/not/exist: must name a readable PEM file (ENOENT)",
  ],
  [{ tls: { cert: "/a", key: "/b" } }, "relay.tls.cert: /a: must name a readable PEM file (ENOENT)"],
  [
    { auth: {} },
    "relay.credential.target: missing: must be set, or relay.auth.users or relay.auth.secrets (CULVERT_RELAY_CREDENTIAL_TARGET)",
  ],
  [{ external_ip: "1.2.3.4" }, "relay.external_ip: unknown key: the nearest known one is relay.addresses"],
  [{ listening: 1 }, "relay.listening: unknown key: the nearest known one is listeners"],
])("%j is refused", (overrides, expected) => {
  expect(problem(overrides)).toBe(expected);
});

test("the listener may share the range on an address that nothing is relayed on", () => {
  expect(problem({ addresses: ["10.0.0.5"], listeners: [{ transport: "udp", ip: "10.0.0.6", port: 50_000 }] })).toBe(
    "no error",
  );
});

test("a range that is never a peer is refused where it does nothing", () => {
  const config = load({
    auth: { secrets: ["s"] },
    addresses: ["127.0.0.1"],
    ops: { enabled: false },
    logLevel: "silent",
    peers: { allow: ["127.0.0.0/8"] },
  });
  expect(() => createRelayService(config)).toThrow(
    /^relay\.peers\.allow\[0\]: 127\.0\.0\.0\/8: is never a peer; dangerouslyAllow would open it$/,
  );
});

test("a secret may come from a file and is not printed", () => {
  expect(problem({}, { CULVERT_RELAY_AUTH_NONCE_KEYS: "[short]" })).toBe(
    "relay.auth.nonceKeys[0]: (secret): must be text of 16 characters or more (CULVERT_RELAY_AUTH_NONCE_KEYS)",
  );
});
