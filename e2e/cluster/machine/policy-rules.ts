import type { KubeObject } from "./api.ts";
import type { Pod } from "./cluster.ts";

/** What is read of a NetworkPolicy (networking.k8s.io/v1). */
export interface NetworkPolicy extends KubeObject {
  readonly spec: {
    readonly podSelector: Selector;
    readonly policyTypes?: readonly string[];
    readonly ingress?: readonly Rule[];
    readonly egress?: readonly Rule[];
  };
}

interface Selector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
    readonly values?: readonly string[];
  }[];
}

interface Rule {
  readonly from?: readonly Peer[];
  readonly to?: readonly Peer[];
  readonly ports?: readonly {
    readonly protocol?: string;
    readonly port?: number | string;
    readonly endPort?: number;
  }[];
}

interface Peer {
  readonly podSelector?: Selector;
  readonly namespaceSelector?: Selector;
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] };
}

export interface World {
  readonly policies: readonly NetworkPolicy[];
  readonly pods: readonly Pod[];
  readonly namespaces: readonly KubeObject[];
}

type Way = "Ingress" | "Egress";

const OPERATORS = {
  In: (value: string | undefined, values: readonly string[]) => value !== undefined && values.includes(value),
  NotIn: (value: string | undefined, values: readonly string[]) => value === undefined || !values.includes(value),
  Exists: (value: string | undefined) => value !== undefined,
  DoesNotExist: (value: string | undefined) => value === undefined,
} as const;

/**
 * The rules of nftables that enforce NetworkPolicies for the pods of a node: IPv4, for pods with an address of their own. What a node sends
 * to its own pods passes, since it is not forwarded.
 */
export function policyRules(world: World, node: string): string {
  const local = world.pods.filter((pod) => pod.spec.nodeName === node && hasOwnAddress(pod));
  const jumps: string[] = [];
  const chains: string[] = [];
  for (const pod of local) {
    const { name, namespace = "" } = pod.metadata;
    const selecting = world.policies.filter(
      ({ metadata, spec }) => metadata.namespace === namespace && selects(spec.podSelector, pod.metadata.labels),
    );
    for (const way of ["Egress", "Ingress"] as const) {
      const policies = selecting.filter(({ spec }) => typesOf(spec).includes(way));
      if (policies.length === 0) continue;
      const chain = `${way.toLowerCase()}-${namespace}-${name}`;
      jumps.push(`ip ${way === "Egress" ? "saddr" : "daddr"} ${pod.status.podIP} jump ${chain}`);
      const rules = policies.flatMap((policy) => rulesOf(world, policy, way, pod));
      chains.push(
        `chain ${chain} {\n${[...new Set(rules), "counter drop"].map((rule) => `    ${rule}\n`).join("")}  }`,
      );
    }
  }
  return `table inet policies
delete table inet policies
table inet policies {
  ${chains.join("\n  ")}
  chain forward {
    type filter hook forward priority filter; policy accept;
    ct state established,related accept
${jumps.map((jump) => `    ${jump}\n`).join("")}  }
}
`;
}

function hasOwnAddress({ spec, status }: Pod): boolean {
  return (
    spec.hostNetwork !== true && status.podIP !== undefined && status.phase !== "Succeeded" && status.phase !== "Failed"
  );
}

function typesOf({ policyTypes, egress }: NetworkPolicy["spec"]): readonly string[] {
  return policyTypes ?? (egress === undefined ? ["Ingress"] : ["Ingress", "Egress"]);
}

function selects(selector: Selector, labels: Readonly<Record<string, string>> = {}): boolean {
  const { matchLabels = {}, matchExpressions = [] } = selector;
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => OPERATORS[operator](labels[key], values))
  );
}

/** What a policy lets pass, to or from `pod`. Each ends with `return`: the way out of the chain. */
function rulesOf(world: World, policy: NetworkPolicy, way: Way, pod: Pod): readonly string[] {
  const rules = (way === "Ingress" ? policy.spec.ingress : policy.spec.egress) ?? [];
  return rules.flatMap(({ from, to, ports = [] }) => {
    const peers = (way === "Ingress" ? from : to) ?? [];
    const matches =
      peers.length === 0 ? [{ match: "", pods: world.pods }] : peers.map((peer) => matchOf(world, policy, way, peer));
    return matches.flatMap(({ match, pods }) => {
      if (match === undefined) return [];
      if (ports.length === 0) return [`${match} return`.trim()];
      return ports.flatMap((port) => {
        // A name is that of a port of the pod that is reached.
        const numbers = numbersOf(port, way === "Ingress" ? [pod] : pods);
        return numbers.map((number) =>
          `${match} ${(port.protocol ?? "TCP").toLowerCase()} dport ${number} return`.trim(),
        );
      });
    });
  });
}

function matchOf(
  { pods, namespaces }: World,
  { metadata }: NetworkPolicy,
  way: Way,
  { podSelector, namespaceSelector, ipBlock }: Peer,
): { readonly match: string | undefined; readonly pods: readonly Pod[] } {
  const field = way === "Ingress" ? "ip saddr" : "ip daddr";
  if (ipBlock !== undefined) {
    const { cidr, except = [] } = ipBlock;
    if (cidr.includes(":")) return { match: undefined, pods: [] };
    const all = cidr === "0.0.0.0/0" ? "meta nfproto ipv4" : `${field} ${cidr}`;
    return { match: except.length === 0 ? all : `${all} ${field} != { ${except.join(", ")} }`, pods: [] };
  }
  const among = new Set(
    namespaceSelector === undefined
      ? [metadata.namespace]
      : namespaces.filter((one) => selects(namespaceSelector, one.metadata.labels)).map((one) => one.metadata.name),
  );
  const selected = pods.filter(
    (pod) => hasOwnAddress(pod) && among.has(pod.metadata.namespace) && selects(podSelector ?? {}, pod.metadata.labels),
  );
  const ips = selected.map(({ status }) => status.podIP);
  return { match: ips.length === 0 ? undefined : `${field} { ${ips.join(", ")} }`, pods: selected };
}

function numbersOf(
  { port, endPort }: { readonly port?: number | string; readonly endPort?: number },
  pods: readonly Pod[],
): readonly string[] {
  if (port === undefined) return ["0-65535"];
  if (typeof port === "number") return [endPort === undefined ? String(port) : `${port}-${endPort}`];
  const named = pods
    .flatMap(({ spec }) => spec.containers)
    .flatMap(({ ports = [] }) => ports)
    .filter(({ name }) => name === port);
  return [...new Set(named.map(({ containerPort }) => String(containerPort)))];
}
