import type { Cluster } from "./cluster.ts";

const LOG_LINES = 25;

/** What the cluster says of a namespace in which something went wrong. */
export async function explain({ kubectl, nodes, balancer, policies }: Cluster, namespace: string): Promise<string> {
  const ask = (args: readonly string[]): Promise<string> => kubectl(args).catch((error: unknown) => String(error));
  const pods = await ask(["-n", namespace, "get", "pods", "-o", "wide"]);
  const events = await ask(["-n", namespace, "get", "events", "--sort-by=.lastTimestamp"]);
  const parts = [pods, lastLines(events)];
  for (const line of pods.split("\n").slice(1)) {
    const [name = "", ready = ""] = line.split(/\s+/);
    const [up, all] = ready.split("/");
    if (name === "" || up === all) continue;
    parts.push(`${name}:`, lastLines(await ask(["-n", namespace, "logs", name, "--all-containers", "--tail=15"])));
    parts.push(lastLines(await ask(["-n", namespace, "logs", name, "--all-containers", "--previous", "--tail=15"])));
  }
  for (const node of nodes) {
    const errors = (await node.log("kubelet", 400)).split("\n").filter((line) => /^[EF]\d/.test(line));
    parts.push(`kubelet of ${node.name}:`, errors.slice(-6).join("\n"));
  }
  if (balancer.failure !== "") parts.push(`load balancer: ${balancer.failure}`);
  if (policies.failure !== "") parts.push(`network policies: ${policies.failure}`);
  return parts.join("\n");
}

function lastLines(text: string): string {
  return text.trimEnd().split("\n").slice(-LOG_LINES).join("\n");
}
