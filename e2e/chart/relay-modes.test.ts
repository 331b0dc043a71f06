import { describe, expect, test } from "vitest";
import { render } from "./support/helm.ts";
import { find, named, podOf, serviceContainer } from "./support/manifests.ts";
import { loadedConfig } from "./support/process.ts";

const config = (manifests: ReturnType<typeof render>, index = 0) => {
  const pod = podOf(manifests, "relay");
  return loadedConfig(manifests, { ...pod, name: `culvert-relay-${index}` }, "relay");
};

const relayedPorts = (manifests: ReturnType<typeof render>, service: string): readonly number[] =>
  (find(manifests, "Service", service).spec?.ports ?? [])
    .filter(({ name }) => name.startsWith("relayed-"))
    .map(({ port }) => port);

describe("mode hostNetwork", () => {
  const manifests = render();
  const pod = podOf(manifests, "relay");

  test("a relay is at its node's address, and its name is what owns its ports", () => {
    expect(pod.spec).toMatchObject({ hostNetwork: true, dnsPolicy: "ClusterFirstWithHostNet" });
    expect(config(manifests)).toMatchObject({
      addresses: [{ ip: "10.0.0.7" }],
      ports: { min: 49_152, max: 65_535 },
      externalAddress: { node: { name: "node-7", annotation: "culvert.io/external-address" }, allowPrivate: true },
      fleet: { identity: "culvert-relay-0", host: "node-7", mesh: { ip: "10.0.0.7", port: 3479 } },
      grpc: { host: "10.0.0.7", port: 9191 },
    });
  });

  test("no two relays are on one node", () => {
    expect(pod.spec.affinity?.podAntiAffinity).toEqual({
      requiredDuringSchedulingIgnoredDuringExecution: [
        {
          topologyKey: "kubernetes.io/hostname",
          labelSelector: { matchLabels: expect.objectContaining({ "app.kubernetes.io/component": "relay" }) },
        },
      ],
    });
  });

  test("it reads the nodes, by a token of its own that lasts an hour", () => {
    expect(find(manifests, "ClusterRole", "voice-culvert-relay").rules).toEqual([
      { apiGroups: [""], resources: ["nodes"], verbs: ["get", "watch"] },
    ]);
    const tokens = pod.spec.volumes?.flatMap(({ projected }) => projected?.sources ?? []);
    expect(tokens).toContainEqual({ serviceAccountToken: { path: "token", expirationSeconds: 3600 } });
  });

  test("an address that is given takes neither token nor role", () => {
    const explicit = render({ values: { relay: { externalAddress: { ipv4: "203.0.113.5" } } } });
    expect(config(explicit)).toMatchObject({ externalAddress: { ipv4: "203.0.113.5" } });
    expect(named(explicit, "ClusterRole")).toEqual([]);
    const sources = podOf(explicit, "relay").spec.volumes?.flatMap(({ projected }) => projected?.sources ?? []);
    expect(sources?.filter((source) => source.serviceAccountToken !== undefined)).toEqual([]);
  });

  test("private addresses are for evaluation, unless told so", () => {
    const production = { redis: { enabled: false, external: { url: "redis://redis:6379" } } };
    expect(config(render({ values: production }))).toMatchObject({ externalAddress: { allowPrivate: false } });
    const told = { ...production, relay: { externalAddress: { allowPrivate: true } } };
    expect(config(render({ values: told }))).toMatchObject({ externalAddress: { allowPrivate: true } });
  });

  test("a port below 1024 takes root and NET_BIND_SERVICE, and only that does", () => {
    const tls = { tls: { existingSecret: "tls" }, relay: { listeners: { tls: { enabled: true, port: 443 } } } };
    const low = podOf(render({ values: tls }), "relay");
    expect(low.spec.securityContext).toMatchObject({ runAsNonRoot: false, runAsUser: 0 });
    expect(serviceContainer(low).securityContext?.capabilities).toEqual({ drop: ["ALL"], add: ["NET_BIND_SERVICE"] });
    expect(pod.spec.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 65_532 });
  });
});

describe("mode loadBalancer, an address for each relay", () => {
  const manifests = render({ file: "loadbalancer-values.yaml" });

  test("each relay that there may be has a Service, which leads to it alone", () => {
    const services = named(manifests, "Service").filter((name) => /^culvert-relay-\d/.test(name));
    expect(services).toEqual([0, 1, 2, 3].map((index) => `culvert-relay-${index}`));
    for (const name of services) {
      const { spec } = find(manifests, "Service", name);
      expect(spec).toMatchObject({
        type: "LoadBalancer",
        externalTrafficPolicy: "Local",
        loadBalancerClass: "example.org/balancer",
        selector: { "statefulset.kubernetes.io/pod-name": name },
      });
      expect(relayedPorts(manifests, name)).toEqual(Array.from({ length: 40 }, (_, index) => 50_000 + index));
      const [udp, tcp] = spec?.ports ?? [];
      expect([udp, tcp]).toEqual([
        { name: "turn-udp", port: 3478, targetPort: "turn-udp", protocol: "UDP" },
        { name: "turn-tcp", port: 3478, targetPort: "turn-tcp", protocol: "TCP" },
      ]);
    }
  });

  test("with two families of addresses the Services have both", () => {
    const both = render({ values: { relay: { mode: "loadBalancer", ipFamilies: ["IPv4", "IPv6"] } } });
    expect(find(both, "Service", "culvert-relay-0").spec).toMatchObject({ ipFamilyPolicy: "PreferDualStack" });
    expect(config(both)).toMatchObject({ addresses: [{ ip: "10.244.1.7" }, { ip: "fd00::7" }] });
  });

  test("a relay finds its address in its Service, and may read the relays' Services only", () => {
    expect(config(manifests, 1)).toMatchObject({
      addresses: [{ ip: "10.244.1.7" }],
      ports: { min: 50_000, max: 50_039 },
      externalAddress: { service: { name: "culvert-relay-1" } },
    });
    expect(named(manifests, "ClusterRole")).toEqual([]);
    expect(find(manifests, "Role", "culvert-relay").rules).toEqual([
      {
        apiGroups: [""],
        resources: ["services"],
        resourceNames: [0, 1, 2, 3].map((index) => `culvert-relay-${index}`),
        verbs: ["get", "watch"],
      },
    ]);
  });

  test("addresses that are given are each relay's own, and UDP and TCP may be apart", () => {
    const given = render({ file: "loadbalancer-addresses-values.yaml" });
    expect(config(given, 1)).toMatchObject({ externalAddress: { ipv4: "203.0.113.6" } });
    expect(named(given, "Role")).toEqual([]);
    const udp = find(given, "Service", "culvert-relay-1");
    const tcp = find(given, "Service", "culvert-relay-1-tcp");
    expect(new Set(udp.spec?.ports?.map(({ protocol }) => protocol))).toEqual(new Set(["UDP"]));
    expect(tcp.spec?.ports?.map(({ port, protocol }) => [port, protocol])).toEqual([
      [3478, "TCP"],
      [443, "TCP"],
    ]);
    for (const { metadata, spec } of [udp, tcp]) {
      expect(metadata.annotations).toEqual({
        "metallb.io/loadBalancerIPs": "203.0.113.6",
        "metallb.io/allow-shared-ip": "culvert-relay-1",
      });
      expect(spec?.loadBalancerIP).toBeUndefined();
      expect(spec?.allocateLoadBalancerNodePorts).toBe(false);
      expect(spec?.selector).toEqual(udp.spec?.selector);
    }
  });

  test("a port below 1024 takes a sysctl of the pod, and no root", () => {
    const given = podOf(render({ file: "loadbalancer-addresses-values.yaml" }), "relay");
    expect(given.spec.securityContext).toMatchObject({
      runAsNonRoot: true,
      sysctls: [{ name: "net.ipv4.ip_unprivileged_port_start", value: "0" }],
    });
    expect(serviceContainer(given).securityContext?.capabilities).toEqual({ drop: ["ALL"] });
  });
});

describe("mode loadBalancer, one address for all", () => {
  const manifests = render({ file: "loadbalancer-shared-values.yaml" });

  test("all relays are behind the port that clients know, and each behind one more of its own", () => {
    expect(find(manifests, "Service", "culvert-relay").spec).toMatchObject({
      type: "LoadBalancer",
      externalTrafficPolicy: "Local",
      loadBalancerIP: "203.0.113.5",
      ports: [
        { port: 3478, protocol: "UDP" },
        { port: 3478, protocol: "TCP" },
      ],
    });
    const own = find(manifests, "Service", "culvert-relay-2");
    expect(own.metadata.annotations).toEqual({ "example.org/reserved": "203.0.113.5" });
    expect(own.spec?.ports?.slice(0, 2)).toEqual([
      { name: "turn-udp", port: 34_782, targetPort: "turn-udp", protocol: "UDP" },
      { name: "turn-tcp", port: 34_782, targetPort: "turn-tcp", protocol: "TCP" },
    ]);
  });

  test("no two relays have one port, in the Services as in the configuration", () => {
    const ports = [0, 1, 2].map((index) => relayedPorts(manifests, `culvert-relay-${index}`));
    expect(new Set(ports.flat()).size).toBe(150);
    for (const [index, own] of ports.entries()) {
      expect([own[0], own.at(-1)]).toEqual([50_000 + 50 * index, 50_049 + 50 * index]);
      expect(config(manifests, index)).toMatchObject({
        ports: { min: 50_000 + 50 * index, max: 50_049 + 50 * index },
        externalAddress: { ipv4: "203.0.113.5" },
        fleet: { advertise: [{ ip: "203.0.113.5", port: 34_780 + index }] },
      });
    }
  });

  test("the relays agree on the address that clients know", () => {
    const { listeners } = config(manifests);
    expect(listeners).toEqual([
      { transport: "udp", ip: "0.0.0.0", port: 3478, frontend: "culvert" },
      { transport: "tcp", ip: "0.0.0.0", port: 3478, frontend: "culvert" },
    ]);
  });

  test("the API hands that address out", () => {
    const { uris } = loadedConfig(manifests, podOf(manifests, "credential"), "credential");
    expect(uris).toEqual([
      "stun:203.0.113.5:3478",
      "turn:203.0.113.5:3478?transport=udp",
      "turn:203.0.113.5:3478?transport=tcp",
    ]);
  });
});
