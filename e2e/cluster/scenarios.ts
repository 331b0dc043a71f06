import { eventually } from "../support/eventually.ts";
import { CULVERT_TAGS, IMAGES, TAG } from "./images/names.ts";
import type { KubeObject } from "./machine/api.ts";
import { NODE_NETWORK } from "./machine/network.ts";
import type { Scenario } from "./steps/step.ts";

const PRE_STOP_SECONDS = 2;
const ADDRESS_MS = 30_000;
const TURN_PORT = 3478;
/** Not one that the load balancer gives to whoever asks for any. */
const SHARED_IP = "10.77.0.120";
const ALTERNATE_PORT = 34_780;

/** What a cluster without a registry and without a way to the world takes. */
const HERE = {
  image: { repository: IMAGES.culvert, tag: CULVERT_TAGS.first, pullPolicy: "Never" },
  redis: { image: { repository: IMAGES.redis, tag: TAG, pullPolicy: "Never" } },
  nats: { image: { repository: IMAGES.nats, tag: TAG, pullPolicy: "Never" } },
  credential: { service: { type: "LoadBalancer" } },
} as const;

/** Peers are on the switch of the site: a private network. */
const RELAY = { peers: { allow: [NODE_NETWORK] }, preStopSeconds: PRE_STOP_SECONDS } as const;

/**
 * Relays behind load balancers have a Service each, and those of the relays that an autoscaler may add are there from the start. There are no
 * metrics here, so that the autoscaler leaves the number of relays to kubectl.
 */
const BALANCED = {
  ...RELAY,
  mode: "loadBalancer",
  autoscaling: { enabled: true, minReplicas: 1, maxReplicas: 2 },
} as const;

interface Service extends KubeObject {
  readonly status: { readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string }[] } };
}

/** A relay a node, at the node's address, which the node's annotation tells. */
const hostNetwork: Scenario = {
  name: "hostNetwork",
  podSecurity: "privileged",
  preStopSeconds: PRE_STOP_SECONDS,
  values: {
    ...HERE,
    relay: { ...RELAY, mode: "hostNetwork" },
    // Relays with host networking come from the nodes' addresses.
    networkPolicy: { nodeCIDRs: [NODE_NETWORK] },
  },
  async prepare({ nodes, kubectl }) {
    for (const { name, ip } of nodes) {
      await kubectl(["annotate", "node", name, "--overwrite", `culvert.io/external-address=${ip}`]);
    }
  },
  async relayAt(cluster, names, index) {
    const pods = await cluster.pods(names.namespace, names.selector("relay"));
    const ip = pods.find(({ metadata }) => metadata.name === `${names.component("relay")}-${index}`)?.status.hostIP;
    if (ip === undefined) throw new Error(`relay ${index} is on no node`);
    return `${ip}:${TURN_PORT}`;
  },
};

/** Relays on the pod network, each behind a load balancer's address of its own, which it finds at its Service. */
const loadBalancer: Scenario = {
  name: "loadBalancer",
  podSecurity: "restricted",
  preStopSeconds: PRE_STOP_SECONDS,
  values: { ...HERE, relay: BALANCED, stun: { mode: "cluster" } },
  async relayAt(cluster, names, index) {
    const path = `/api/v1/namespaces/${names.namespace}/services/${names.component("relay")}-${index}`;
    const ip = await eventually(
      `relay ${index} has a load balancer's address`,
      async () => (await cluster.api.get<Service>(path)).status.loadBalancer?.ingress?.[0]?.ip,
      ADDRESS_MS,
    );
    return `${ip}:${TURN_PORT}`;
  },
};

/**
 * Relays behind one address, each with ports of its own there. A load balancer on layer 2 leads an address to one node, and the Services'
 * traffic policy is Local, so that both relays are on that node.
 */
const sharedAddress: Scenario = {
  name: "sharedAddress",
  podSecurity: "restricted",
  preStopSeconds: PRE_STOP_SECONDS,
  values: {
    ...HERE,
    publicHost: SHARED_IP,
    relay: {
      ...BALANCED,
      service: { type: "LoadBalancer" },
      nodeSelector: { "kubernetes.io/hostname": "node-0" },
      loadBalancer: { addressing: "shared", addresses: [SHARED_IP], alternatePort: ALTERNATE_PORT, portsPerRelay: 20 },
    },
    stun: { mode: "cluster" },
  },
  async relayAt(_cluster, _names, index) {
    return `${SHARED_IP}:${ALTERNATE_PORT + index}`;
  },
};

export const SCENARIOS: readonly Scenario[] = [hostNetwork, loadBalancer, sharedAddress];
