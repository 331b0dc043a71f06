import { definitionFiles } from "./crds.ts";
import { kubectlOutput } from "./kubectl.ts";

interface Access {
  readonly kubeconfig: string;
}

/** Makes the kinds known that the chart can make beside Kubernetes' own. */
export function installDefinitions(access: Access): void {
  const files = definitionFiles().flatMap((file) => ["--filename", file]);
  kubectlOutput(access, ["apply", "--server-side", ...files]);
  kubectlOutput(access, ["wait", "--for=condition=Established", "customresourcedefinitions", "--all", "--timeout=60s"]);
}

/** A namespace that enforces a pod security standard, and warns of workloads whose pods would not meet `warn`. */
export function createNamespace(access: Access, name: string, standard: string, warn: string = standard): void {
  const labels = {
    "pod-security.kubernetes.io/enforce": standard,
    "pod-security.kubernetes.io/warn": warn,
  };
  const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name, labels } };
  kubectlOutput(access, ["create", "--filename", "-"], namespace);
}
