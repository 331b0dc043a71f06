import { execFileSync } from "node:child_process";
import { join } from "node:path";

/** Definitions of the kinds that the chart can make beside Kubernetes' own, in the modules of those who define them. */
const MODULES: readonly { readonly module: string; readonly files: readonly string[] }[] = [
  {
    module: "sigs.k8s.io/gateway-api@v1.6.3",
    files: ["udproutes", "tcproutes", "tlsroutes", "httproutes"].map(
      (name) => `config/crd/experimental/gateway.networking.k8s.io_${name}.yaml`,
    ),
  },
  {
    module: "github.com/prometheus-operator/prometheus-operator@v0.85.0",
    files: ["servicemonitors", "podmonitors", "prometheusrules"].map(
      (name) => `example/prometheus-operator-crd/monitoring.coreos.com_${name}.yaml`,
    ),
  },
  { module: "github.com/cert-manager/cert-manager@v1.21.2", files: ["deploy/crds/cert-manager.io_certificates.yaml"] },
  { module: "github.com/kedacore/keda/v2@v2.21.0", files: ["config/crd/bases/keda.sh_scaledobjects.yaml"] },
];

/** Paths of the definitions, in Go's module cache. Fetches what is not there. */
export function definitionFiles(): readonly string[] {
  return MODULES.flatMap(({ module, files }) => {
    const answer = execFileSync("go", ["mod", "download", "-json", module], { encoding: "utf8", cwd: "/" });
    const { Dir: folder }: { Dir: string } = JSON.parse(answer);
    return files.map((file) => join(folder, file));
  });
}
