import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Host } from "../../chaos/support/namespaces.ts";
import type { Stage } from "../../chaos/support/stage.ts";
import { eventually } from "../../support/eventually.ts";
import { makeImages } from "../images/index.ts";
import type { ClusterApi, KubeObject } from "./api.ts";
import { startControlPlane } from "./control-plane.ts";
import { dnsObjects } from "./dns.ts";
import { LoadBalancer } from "./load-balancer.ts";
import { must } from "./must.ts";
import { makeSite } from "./network.ts";
import { PolicyEnforcer } from "./network-policies.ts";
import { ClusterNode } from "./node.ts";
import { Pki } from "./pki.ts";
import { toolsFolder } from "./tools.ts";

const NODES_MS = 120_000;
const DNS_MS = 120_000;

export interface Pod extends KubeObject {
  readonly spec: {
    readonly nodeName?: string;
    readonly hostNetwork?: boolean;
    readonly containers: readonly {
      readonly image: string;
      readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
    }[];
  };
  readonly status: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly hostIP?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly { readonly restartCount: number; readonly state?: object }[];
  };
}

/** A Kubernetes cluster on this machine, and who stands outside of it. */
export interface Cluster {
  readonly api: ClusterApi;
  readonly nodes: readonly ClusterNode[];
  /** A host that knows no way to a pod or a Service. */
  readonly client: Host;
  readonly balancer: LoadBalancer;
  readonly policies: PolicyEnforcer;
  kubectl(args: readonly string[], options?: { readonly timeoutMs?: number }): Promise<string>;
  helm(args: readonly string[], options?: { readonly timeoutMs?: number }): Promise<string>;
  apply(objects: readonly object[]): Promise<void>;
  pods(namespace: string, selector?: string): Promise<readonly Pod[]>;
  /** Of Kubernetes, the runtime and helm. */
  versions(): Promise<string>;
}

export interface ClusterOptions {
  readonly folder: string;
  readonly nodes: number;
  /** Told what happens. */
  readonly say: (what: string) => void;
}

export async function startCluster(stage: Stage, { folder, nodes: count, say }: ClusterOptions): Promise<Cluster> {
  const tools = await toolsFolder();
  const site = await makeSite(stage, count);
  const pki = await Pki.create(join(folder, "pki"));
  say("making the images");
  const archives = await makeImages(join(folder, "images"), tools);
  say("starting etcd, kube-apiserver, kube-controller-manager and kube-scheduler");
  const { server, admin, api } = await startControlPlane(stage, { site, pki, tools, folder: join(folder, "control") });
  const nodes: ClusterNode[] = [];
  for (const [index, host] of site.nodes.entries()) {
    say(`starting containerd, kubelet and kube-proxy on node-${index}`);
    const node = await ClusterNode.start(stage, { index, host, server, pki, tools, folder });
    for (const archive of archives) await node.load(archive);
    nodes.push(node);
  }
  const env = { KUBECONFIG: admin, HOME: folder };
  const program =
    (name: string) =>
    (args: readonly string[], options: { readonly timeoutMs?: number } = {}): Promise<string> =>
      must(join(tools, name), args, { env, ...options });
  const kubectl = program("kubectl");
  const hosts = new Map(nodes.map(({ name }, index) => [name, site.nodes[index]] as const));
  const known = new Map([...hosts].flatMap(([name, host]) => (host === undefined ? [] : [[name, host] as const])));
  const helm = program("helm");
  const cluster: Cluster = {
    api,
    nodes,
    client: site.client,
    balancer: LoadBalancer.start(stage, api, site.client, known),
    policies: PolicyEnforcer.start(stage, api, known, folder),
    kubectl,
    helm,
    apply: async (objects) => {
      const file = join(folder, "objects.json");
      await writeFile(file, JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }));
      await kubectl(["apply", "-f", file]);
    },
    pods: (namespace, selector = "") =>
      api.list<Pod>(`/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(selector)}`),
    versions: async () => {
      const path = "{.items[0].status.nodeInfo.kubeletVersion} {.items[0].status.nodeInfo.containerRuntimeVersion}";
      const node = await kubectl(["get", "nodes", "-o", `jsonpath=${path}`]);
      return `kubelet ${node}, helm ${(await helm(["version", "--short"])).trim()}`;
    },
  };
  await eventually(
    "the nodes are ready",
    async () => {
      const ready = await kubectl(["get", "nodes", "--no-headers"]);
      if ((ready.match(/\sReady\s/g) ?? []).length < count) throw new Error(ready);
      return true;
    },
    NODES_MS,
  );
  await cluster.apply(dnsObjects());
  await kubectl(["-n", "kube-system", "rollout", "status", "deployment/coredns", `--timeout=${DNS_MS / 1000}s`], {
    timeoutMs: DNS_MS + 5000,
  });
  return cluster;
}
