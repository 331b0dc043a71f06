import { describe, expect, test } from "vitest";
import type { Pod } from "../machine/cluster.ts";
import { type NetworkPolicy, policyRules } from "../machine/policy-rules.ts";

function pod(name: string, ip: string, labels: Record<string, string>, spec: Partial<Pod["spec"]> = {}): Pod {
  return {
    metadata: { name, namespace: "a", labels },
    spec: { nodeName: "node-0", containers: [], ...spec },
    status: { phase: "Running", podIP: ip },
  };
}

function rulesFor(pods: readonly Pod[], policies: readonly NetworkPolicy["spec"][]): readonly string[] {
  const namespaces = [
    { metadata: { name: "a", labels: { team: "a" } } },
    { metadata: { name: "b", labels: { team: "b" } } },
  ];
  const world = {
    pods,
    namespaces,
    policies: policies.map((spec, index) => ({ metadata: { name: `policy-${index}`, namespace: "a" }, spec })),
  };
  return policyRules(world, "node-0")
    .split("\n")
    .map((line) => line.trim());
}

const server = pod("server", "10.1.0.1", { app: "server" });
const client = pod("client", "10.1.0.2", { app: "client" });
const selectServer = { podSelector: { matchLabels: { app: "server" } } };

describe("rules of network policies", () => {
  test("a pod that no policy selects has none", () => {
    const rules = rulesFor([server, client], [selectServer]);
    expect(rules.filter((rule) => rule.includes("10.1.0.2"))).toEqual([]);
    expect(rules).toContain("ip daddr 10.1.0.1 jump ingress-a-server");
  });

  test("what is not named is dropped, both ways", () => {
    const rules = rulesFor([server], [{ podSelector: {}, policyTypes: ["Ingress", "Egress"] }]);
    expect(rules).toEqual(
      expect.arrayContaining([
        "chain egress-a-server {",
        "chain ingress-a-server {",
        "ip saddr 10.1.0.1 jump egress-a-server",
        "ip daddr 10.1.0.1 jump ingress-a-server",
      ]),
    );
    expect(rules.filter((rule) => rule === "counter drop")).toHaveLength(2);
  });

  test("peers are pods by labels, of the own namespace unless another is named", () => {
    const elsewhere: Pod = {
      ...client,
      metadata: { ...client.metadata, namespace: "b" },
      status: { podIP: "10.1.0.9" },
    };
    const from = [{ podSelector: { matchExpressions: [{ key: "app", operator: "In" as const, values: ["client"] }] } }];
    const ports = [{ port: 6379 }];
    expect(rulesFor([server, client, elsewhere], [{ ...selectServer, ingress: [{ from, ports }] }])).toContain(
      "ip saddr { 10.1.0.2 } tcp dport 6379 return",
    );
    const anywhere = [{ ...from[0], namespaceSelector: {} }];
    expect(
      rulesFor([server, client, elsewhere], [{ ...selectServer, ingress: [{ from: anywhere, ports }] }]),
    ).toContain("ip saddr { 10.1.0.2, 10.1.0.9 } tcp dport 6379 return");
  });

  test("a rule whose peers are not there lets nobody in", () => {
    const from = [{ podSelector: { matchLabels: { app: "nobody" } } }];
    const rules = rulesFor([server, client], [{ ...selectServer, ingress: [{ from, ports: [{ port: 80 }] }] }]);
    expect(rules.filter((rule) => rule.endsWith("return"))).toEqual([]);
  });

  test("a rule without peers is for everybody, one without ports for all ports", () => {
    expect(
      rulesFor([server], [{ ...selectServer, ingress: [{ ports: [{ port: 3478, protocol: "UDP" }] }] }]),
    ).toContain("udp dport 3478 return");
    expect(rulesFor([server], [{ ...selectServer, ingress: [{}] }])).toContain("return");
  });

  test("address ranges with exceptions, and ranges of ports", () => {
    const to = [{ ipBlock: { cidr: "0.0.0.0/0", except: ["10.0.0.0/8", "127.0.0.0/8"] } }];
    const ports = [{ port: 1024, endPort: 65_535, protocol: "UDP" }];
    expect(rulesFor([server], [{ ...selectServer, policyTypes: ["Egress"], egress: [{ to, ports }] }])).toContain(
      "meta nfproto ipv4 ip daddr != { 10.0.0.0/8, 127.0.0.0/8 } udp dport 1024-65535 return",
    );
  });

  test("a port's name is that of the pod that is reached", () => {
    const named = pod(
      "server",
      "10.1.0.1",
      { app: "server" },
      {
        containers: [{ image: "i", ports: [{ name: "ops", containerPort: 9101 }] }],
      },
    );
    expect(rulesFor([named], [{ ...selectServer, ingress: [{ ports: [{ port: "ops" }] }] }])).toContain(
      "tcp dport 9101 return",
    );
  });

  test("pods with the node's network, and those that have ended, are nobody's peers and have no rules", () => {
    const host = pod("host", "10.0.0.1", { app: "client" }, { hostNetwork: true });
    const ended: Pod = { ...client, status: { phase: "Succeeded", podIP: "10.1.0.2" } };
    const rules = rulesFor([server, host, ended], [{ podSelector: {}, ingress: [{ from: [{ podSelector: {} }] }] }]);
    expect(rules.filter((rule) => /10\.0\.0\.1|10\.1\.0\.2/.test(rule))).toEqual([]);
    expect(rules).toContain("ip saddr { 10.1.0.1 } return");
  });
});
