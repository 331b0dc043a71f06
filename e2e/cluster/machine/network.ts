import { type Host, makeNetwork } from "../../chaos/support/namespaces.ts";
import type { Stage } from "../../chaos/support/stage.ts";
import { must } from "./must.ts";

/** Who is on the switch of a cluster's site. The test itself sits there too, as an operator at a workstation. */
export interface Site {
  readonly control: Host;
  readonly nodes: readonly Host[];
  /** Outside of the cluster: it knows the nodes' addresses and the load balancers', and no way to a pod or a Service. */
  readonly client: Host;
  readonly operatorIp: string;
}

export const NODE_NETWORK = "10.77.0.0/24";
export const POD_NETWORK = "10.244.0.0/16";
export const SERVICE_NETWORK = "10.96.0.0/16";
export const API_SERVICE_IP = "10.96.0.1";
export const DNS_SERVICE_IP = "10.96.0.10";
/** The addresses that the site's load balancer gives away. */
export const BALANCER_IPS: readonly string[] = ["10.77.0.100", "10.77.0.101", "10.77.0.102", "10.77.0.103"];

const OPERATOR_IP = "10.77.0.250";

/** Pods of node `index`. */
export function podSubnet(index: number): string {
  return `10.244.${index}.0/24`;
}

/** One switch with the control plane, the nodes, a client and the operator, and routes between the nodes' pods. */
export async function makeSite(stage: Stage, nodeCount: number): Promise<Site> {
  const names = Array.from({ length: nodeCount }, (_, index) => `node${index}`);
  const [control, client, ...nodes] = await makeNetwork(stage, ["control", "client", ...names]);
  if (control === undefined || client === undefined) throw new Error("the network lacks hosts");
  const hub = control.namespace.replace(/control$/, "hub");
  const self = String(process.pid);
  await must("ip", ["-n", hub, "link", "add", "operator", "type", "veth", "peer", "name", "eth0", "netns", self]);
  await must("ip", ["-n", hub, "link", "set", "operator", "master", "br0", "up"]);
  await must("ip", ["addr", "add", `${OPERATOR_IP}/24`, "dev", "eth0"]);
  await must("ip", ["link", "set", "eth0", "up"]);
  for (const [index, { ip }] of nodes.entries()) {
    for (const host of [control, ...nodes]) {
      if (host.ip !== ip) await must("ip", ["-n", host.namespace, "route", "add", podSubnet(index), "via", ip]);
    }
  }
  // Addresses of Services are reached by whatever route there is: it must lead out of the host before kube-proxy's rules see the packet.
  for (const { namespace } of nodes) await must("ip", ["-n", namespace, "route", "add", "default", "via", control.ip]);
  return { control, client, nodes, operatorIp: OPERATOR_IP };
}
