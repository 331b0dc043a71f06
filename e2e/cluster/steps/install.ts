import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isReady, podsOf, restartsOf } from "./pods.ts";
import type { Context, Step } from "./step.ts";
import { timed } from "./step.ts";

export const CHART: string = fileURLToPath(new URL("../../../charts/culvert", import.meta.url));
const INSTALL_SECONDS = 180;

/** `helm install --wait`, in a namespace that enforces a pod security standard. */
export const install: Step = {
  name: "helm install",
  async run(context) {
    const { cluster, scenario, names } = context;
    const { namespace, release } = names;
    const labels = { "pod-security.kubernetes.io/enforce": scenario.podSecurity };
    await cluster.apply([{ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace, labels } }]);
    await scenario.prepare?.(cluster);
    const file = await valuesFile(context);
    const seconds = await timed(() =>
      cluster.helm(
        ["install", release, CHART, "-n", namespace, "-f", file, "--wait", `--timeout=${INSTALL_SECONDS}s`],
        { timeoutMs: (INSTALL_SECONDS + 20) * 1000 },
      ),
    );
    const pods = await podsOf(context);
    return [
      { what: "until every pod was ready", value: seconds, unit: "s" },
      { what: "pods", value: pods.length, unit: "pods", atLeast: 1 },
      { what: "pods that are not ready", value: pods.filter((pod) => !isReady(pod)).length, unit: "pods", atMost: 0 },
      { what: "containers started again", value: restartsOf(pods), unit: "times", atMost: 0 },
    ];
  },
};

export async function valuesFile({ folder, scenario }: Context): Promise<string> {
  await mkdir(folder, { recursive: true });
  const file = join(folder, "values.yaml");
  await writeFile(file, JSON.stringify(scenario.values, null, 2));
  return file;
}
