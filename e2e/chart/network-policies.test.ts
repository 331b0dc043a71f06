import { NEVER_PEERS, PRIVATE_PEERS } from "@culvert/turn";
import { describe, expect, test } from "vitest";
import { render } from "./support/helm.ts";
import { find, named, pods } from "./support/manifests.ts";
import type { Manifest, PolicyPeer, PolicyRule } from "./support/model.ts";

const policy = (manifests: readonly Manifest[], component: string) =>
  find(manifests, "NetworkPolicy", `culvert-${component}`).spec;

/** Components whose pods a rule lets through; `*` for everybody. */
function who(rules: readonly PolicyRule[] | undefined, way: "from" | "to", port: number | string): readonly string[] {
  const matching = (rules ?? []).filter(({ ports }) => ports?.some((each) => each.port === port));
  return matching.flatMap((rule) => rule[way]?.map(nameOf) ?? ["*"]);
}

function nameOf(peer: PolicyPeer): string {
  const component = peer.podSelector?.matchLabels?.["app.kubernetes.io/component"];
  return component ?? peer.ipBlock?.cidr ?? JSON.stringify(peer);
}

describe("on the pod network", () => {
  const manifests = render({ file: "loadbalancer-values.yaml" });

  test("all is denied that no policy of its own lets through", () => {
    const { ingress, egress, ...rest } = policy(manifests, "default-deny") ?? {};
    expect({ ingress, egress }).toEqual({ ingress: undefined, egress: undefined });
    expect(rest).toMatchObject({
      podSelector: { matchLabels: { "app.kubernetes.io/instance": "culvert" } },
      policyTypes: ["Ingress", "Egress"],
    });
    for (const { component } of pods(manifests))
      expect(named(manifests, "NetworkPolicy")).toContain(`culvert-${component}`);
  });

  test("a relay reaches every public address and none that is denied", () => {
    const { egress } = policy(manifests, "relay") ?? {};
    const peers = egress?.find(({ ports }) => ports?.[0]?.endPort === 65_535);
    expect(peers?.ports).toEqual([{ port: 1, endPort: 65_535, protocol: "UDP" }]);
    const blocks = (peers?.to ?? []).map(({ ipBlock }) => ipBlock);
    const denied = [...NEVER_PEERS, ...PRIVATE_PEERS];
    // An IPv4 address in IPv6's clothes is on no wire, and Kubernetes does not take it for one of IPv6. ::/96 has ::1 and ::.
    const never = new Set(["::ffff:0:0/96", "::/128", "::1/128"]);
    expect(blocks[0]).toEqual({
      cidr: "0.0.0.0/0",
      except: expect.arrayContaining(denied.filter((range) => !range.includes(":"))),
    });
    expect(blocks[1]).toEqual({
      cidr: "::/0",
      except: expect.arrayContaining(denied.filter((range) => range.includes(":") && !never.has(range))),
    });
    expect(blocks.map((block) => block?.except?.length)).toEqual([
      denied.filter((range) => !range.includes(":")).length + 1,
      denied.filter((range) => range.includes(":") && !never.has(range)).length + 1,
      undefined,
      undefined,
    ]);
    expect(blocks[0]?.except).toContain("198.51.100.7/32");
    expect(blocks[1]?.except).toContain("2001:db8:7::/48");
    expect(blocks.slice(2)).toEqual([{ cidr: "10.20.0.0/16" }, { cidr: "fd00:20::/32" }]);
  });

  test("clients and peers reach a relay, relays its mesh, operators its RelayService", () => {
    const { ingress } = policy(manifests, "relay") ?? {};
    expect(ingress?.[0]).toEqual({
      ports: [
        { port: 3478, protocol: "TCP" },
        { port: 3478, protocol: "UDP" },
        { port: 50_000, endPort: 50_039, protocol: "UDP" },
      ],
    });
    expect(who(ingress, "from", 3479)).toEqual(["relay"]);
    expect(who(ingress, "from", 9191)).toEqual([
      expect.stringContaining("app.kubernetes.io/instance"),
      expect.stringContaining("operations"),
    ]);
  });

  test("a relay reaches its backends, the other relays and the Kubernetes API where it looks its address up", () => {
    const { egress } = policy(manifests, "relay") ?? {};
    expect(who(egress, "to", 6379)).toEqual(["redis"]);
    expect(who(egress, "to", 4222)).toEqual(["nats"]);
    expect(who(egress, "to", 9090)).toEqual(["credential"]);
    expect(who(egress, "to", 3479)).toEqual(["relay"]);
    expect(who(egress, "to", 443)).toEqual(["10.96.0.1/32"]);
    const given = policy(render({ file: "loadbalancer-addresses-values.yaml" }), "relay");
    expect(who(given?.egress, "to", 443)).toEqual([]);
  });

  test("only those that need it reach Redis, NATS and the key feed", () => {
    expect(who(policy(manifests, "redis")?.ingress, "from", 6379)).toEqual(["credential", "relay"]);
    expect(who(policy(manifests, "nats")?.ingress, "from", 4222)).toEqual(["credential", "relay", "signaling"]);
    expect(who(policy(manifests, "credential")?.ingress, "from", "grpc")).toEqual(["relay", "signaling"]);
    expect(policy(manifests, "redis")?.egress).toBeUndefined();
    expect(policy(manifests, "nats")?.egress).toBeUndefined();
  });

  test("the API is for those that are named, and for helm test", () => {
    expect(who(policy(manifests, "credential")?.ingress, "from", "http")).toEqual([
      expect.stringContaining("ingress"),
      "test",
    ]);
    expect(who(policy(render(), "credential")?.ingress, "from", "http")).toEqual(["*"]);
  });
});

describe("with host networking", () => {
  test("relays have no policy, since none would hold, and come from their nodes' addresses", () => {
    const manifests = render({ values: { networkPolicy: { nodeCIDRs: ["10.0.0.0/16"] } } });
    expect(named(manifests, "NetworkPolicy")).not.toContain("culvert-relay");
    expect(who(policy(manifests, "redis")?.ingress, "from", 6379)).toEqual(["credential", "10.0.0.0/16"]);
    expect(who(policy(manifests, "credential")?.ingress, "from", "grpc")).toEqual(["signaling", "10.0.0.0/16"]);
    const unknown = render();
    expect(who(policy(unknown, "redis")?.ingress, "from", 6379)).toEqual(["*"]);
  });
});

test("backends outside of the chart are reached at their ports", () => {
  const manifests = render({
    values: {
      redis: { enabled: false, external: { sentinels: ["a:26380", "b"], master: "m" } },
      nats: { enabled: false, external: { servers: ["nats://nats.example.org:4333", "[2001:db8::1]"] } },
      telemetry: { otlp: { endpoint: "https://collector.example.org" } },
    },
  });
  const { egress } = policy(manifests, "credential") ?? {};
  const tcp = (egress ?? []).flatMap(({ ports }) => ports ?? []).filter(({ protocol }) => protocol === "TCP");
  expect(tcp.map(({ port }) => port).sort((a, b) => Number(a) - Number(b))).toEqual([
    53, 443, 4222, 4333, 6379, 26_379, 26_380,
  ]);
});

test("networkPolicy.enabled: false leaves the network alone", () => {
  expect(named(render({ file: "minimal-values.yaml" }), "NetworkPolicy")).toEqual([]);
});
