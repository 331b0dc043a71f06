import { eventually } from "../../support/eventually.ts";
import { podsOf } from "./pods.ts";
import { type Step, timed } from "./step.ts";

const GONE_MS = 120_000;
const KINDS = "all,configmaps,serviceaccounts,roles,rolebindings,networkpolicies,poddisruptionbudgets,endpointslices";

/** `helm uninstall`: nothing of the release stays. */
export const uninstall: Step = {
  name: "helm uninstall",
  async run(context) {
    const { cluster, names, say } = context;
    const { namespace, release } = names;
    // Helm keeps what its hooks have made, for people to look at.
    await cluster.kubectl(["-n", namespace, "delete", "pod", "-l", names.selector("test")]);
    const seconds = await timed(async () => {
      await cluster.helm(["uninstall", release, "-n", namespace], { timeoutMs: GONE_MS });
      await eventually(
        "all pods are gone",
        async () => {
          const left = await podsOf(context);
          if (left.length > 0) throw new Error(left.map(({ metadata }) => metadata.name).join(", "));
          return true;
        },
        GONE_MS,
      );
    });
    const remains = async (kinds: string, args: readonly string[]): Promise<readonly string[]> => {
      const output = await cluster.kubectl(["get", kinds, ...args, "-l", names.selector(), "-o", "name"]);
      return output.split("\n").filter((line) => line !== "");
    };
    const left = [
      ...(await remains(KINDS, ["-n", namespace])),
      ...(await remains("clusterroles,clusterrolebindings", [])),
    ];
    if (left.length > 0) say(`left: ${left.join(", ")}`);
    await cluster.kubectl(["delete", "namespace", namespace, "--wait", "--timeout=60s"], { timeoutMs: 70_000 });
    return [
      { what: "until the last pod was gone", value: seconds, unit: "s" },
      { what: "objects that are left", value: left.length, unit: "objects", atMost: 0 },
    ];
  },
};
