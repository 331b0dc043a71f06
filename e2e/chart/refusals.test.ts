import { describe, expect, test } from "vitest";
import { template } from "./support/helm.ts";

/** What must not be installed, and what helm says of it. */
const REFUSED: readonly (readonly [what: string, values: object, line: string])[] = [
  [
    "a load balancer that hides the clients' addresses",
    { relay: { mode: "loadBalancer", service: { externalTrafficPolicy: "Cluster" } } },
    "at '/relay/service/externalTrafficPolicy': value must be 'Local'",
  ],
  [
    "more ports than a load balancer takes",
    { relay: { mode: "loadBalancer", loadBalancer: { portsPerRelay: 101 } } },
    "at '/relay/loadBalancer/portsPerRelay': maximum: got 101, want 100",
  ],
  [
    "ports beyond the last one",
    { relay: { mode: "loadBalancer", loadBalancer: { firstPort: 65_500 } } },
    "relay.loadBalancer.firstPort: 65500: must leave room for 40 ports of 1 relays below 65536 (the last would be 65539)",
  ],
  [
    "two relays of one node",
    { relay: { replicas: 2, antiAffinity: "preferred" } },
    "at '/relay/antiAffinity': value must be 'required'",
  ],
  [
    "two relays of one node, by an autoscaler",
    { relay: { antiAffinity: "none", autoscaling: { enabled: true } } },
    "at '/relay/antiAffinity': value must be 'required'",
  ],
  [
    "two relays of one node, by KEDA",
    { relay: { antiAffinity: "none", autoscaling: { keda: { enabled: true, serverAddress: "http://p:9090" } } } },
    "at '/relay/antiAffinity': value must be 'required'",
  ],
  [
    "two STUN servers of one node",
    { stun: { replicas: 2, antiAffinity: "none" } },
    "at '/stun/antiAffinity': value must be 'required'",
  ],
  [
    "one port of a node for two",
    { stun: { listeners: { udp: { port: 3478 } } } },
    "stun.listeners.udp.port: 3478: must be another port than relay.listeners.udp.port: both are on the nodes' addresses",
  ],
  [
    "a listener among the relayed ports",
    { relay: { listeners: { udp: { port: 50_000 } } } },
    "relay.listeners.udp.port: 50000: must be outside of relay.ports (49152 to 65535)",
  ],
  [
    "a shared address that is none",
    { relay: { mode: "loadBalancer", loadBalancer: { addressing: "shared" } } },
    "relay.loadBalancer.addresses: 0 addresses: must be one with addressing shared",
  ],
  [
    "less addresses than relays",
    { relay: { mode: "loadBalancer", replicas: 2, loadBalancer: { addresses: ["203.0.113.5"] } } },
    "relay.loadBalancer.addresses: 1 addresses: must be 2, one for each relay that there may be, or none",
  ],
  [
    "an address of another family",
    { relay: { mode: "loadBalancer", loadBalancer: { addresses: ["2001:db8::5"] } } },
    "relay.loadBalancer.addresses[0]: 2001:db8::5: must be of the one family of relay.ipFamilies (IPv4)",
  ],
  [
    "STUN behind a load balancer",
    { relay: { mode: "loadBalancer", externalAddress: { stun: { servers: ["stun.example.org"] } } } },
    "relay.externalAddress.stun.servers: must be empty in mode loadBalancer",
  ],
  [
    "one address for two nodes",
    { relay: { replicas: 2, externalAddress: { ipv4: "203.0.113.5" } } },
    "relay.externalAddress: 203.0.113.5: must be empty with 2 relays in mode hostNetwork",
  ],
  [
    "less time than the drain takes",
    { relay: { terminationGracePeriodSeconds: 3600 } },
    "relay.terminationGracePeriodSeconds: 3600: must be 3620 or more: preStopSeconds, drain.timeout and 15",
  ],
  [
    "two autoscalers",
    { relay: { autoscaling: { enabled: true, keda: { enabled: true, serverAddress: "http://p:9090" } } } },
    "at '/relay/autoscaling/enabled': value must be false",
  ],
  [
    "an autoscaler without a measure",
    { relay: { autoscaling: { enabled: true, cpuPercent: 0, allocationsPercent: 0 } } },
    "relay.autoscaling.cpuPercent: 0: must be more, or relay.autoscaling.allocationsPercent",
  ],
  [
    "two Redis",
    { redis: { external: { url: "redis://redis:6379" } } },
    "redis.enabled: true: must be false with redis.external (redis://redis:6379)",
  ],
  [
    "two ways to Redis",
    { redis: { enabled: false, external: { url: "redis://redis", cluster: ["redis:6379"] } } },
    "redis.external: 2 of url, sentinels and cluster are set: must be one, or redis.enabled",
  ],
  [
    "no Redis",
    { redis: { enabled: false } },
    "redis.external: 0 of url, sentinels and cluster are set: must be one, or redis.enabled",
  ],
  [
    "a password in a URL",
    { redis: { enabled: false, external: { url: "redis://user:secret@redis:6379" } } },
    "at '/redis/external/url': 'redis://user:secret@redis:6379' does not match pattern",
  ],
  [
    "two keys for NATS",
    { nats: { enabled: false, external: { servers: ["nats"], existingSecret: "nats", tokenKey: "t", user: "u" } } },
    "nats.external: u, t: must be one of user, tokenKey and credentialsKey",
  ],
  [
    "a user of NATS without a password",
    { nats: { enabled: false, external: { servers: ["nats"], user: "u" } } },
    "nats.external.existingSecret: missing: must name the Secret for u",
  ],
  [
    "two replicas that know nothing of each other",
    { nats: { enabled: false } },
    "signaling.replicas: 2: must be 1 without NATS, which joins the replicas",
  ],
  [
    "two certificates",
    { tls: { existingSecret: "tls", certManager: { enabled: true } } },
    "tls.existingSecret: tls: must be empty with tls.certManager.enabled",
  ],
  [
    "TLS without a certificate",
    { relay: { listeners: { tls: { enabled: true } } } },
    "relay.listeners.tls.enabled: true: needs tls.existingSecret or tls.certManager.enabled",
  ],
  [
    "an odd number of partners",
    { stun: { replicas: 3, behaviourDiscovery: { enabled: true } } },
    "stun.replicas: 3: must be even with stun.behaviourDiscovery.enabled: pods work in pairs",
  ],
  [
    "partners behind a load balancer",
    { stun: { mode: "loadBalancer", replicas: 2, behaviourDiscovery: { enabled: true } } },
    "at '/stun/mode': value must be 'hostNetwork'",
  ],
  ["an unknown key", { relay: { replica: 2 } }, "at '/relay': additional properties 'replica' not allowed"],
  [
    "an unknown key of the configuration",
    { relay: { config: { limits: { maxBsp: 1 } } } },
    "at '/relay/config/limits': additional properties 'maxBsp' not allowed",
  ],
  [
    "a value that the service would refuse",
    { relay: { config: { fleet: { lease: { ttl: 0.1 } } } } },
    "at '/relay/config/fleet/lease/ttl': minimum: got 0.1, want 0.5",
  ],
  [
    "what the chart sets itself",
    { relay: { config: { listeners: [] } } },
    "at '/relay/config': additional properties 'listeners' not allowed",
  ],
  [
    "a secret in a ConfigMap",
    { credential: { config: { adminToken: "0123456789abcdef" } } },
    "at '/credential/config': additional properties 'adminToken' not allowed",
  ],
  ["a word for a number", { relay: { replicas: "two" } }, "at '/relay/replicas': got string, want integer"],
];

describe("helm refuses", () => {
  test.each(REFUSED)("%s", (_what, values, line) => {
    const { code, stderr } = template({ values });
    expect(stderr).toContain(line);
    expect(code).toBe(1);
    // One problem, in words of the chart or of its schema, and not what a template tripped over.
    expect(stderr).not.toMatch(/executing|reflect:|nil pointer/);
    expect(stderr.match(/^- |^ {2}- |^Error: execution error/gm)?.length).toBeLessThanOrEqual(2);
  });
});
