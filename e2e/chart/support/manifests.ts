import { parseAllDocuments } from "yaml";
import type { Container, Manifest, PodSpec } from "./model.ts";

/** Reads YAML as Kubernetes does: version 1.1, with octal modes. Throws for what is no YAML. */
export function readManifests(text: string): readonly Manifest[] {
  return parseAllDocuments(text, { version: "1.1" }).flatMap((document) => {
    const [problem] = document.errors;
    if (problem !== undefined) throw problem;
    const manifest: Manifest | null = document.toJS();
    return manifest === null ? [] : [manifest];
  });
}

export function find(manifests: readonly Manifest[], kind: string, name: string): Manifest {
  const found = manifests.find((each) => each.kind === kind && each.metadata.name === name);
  if (found !== undefined) return found;
  const names = manifests.filter((each) => each.kind === kind).map(({ metadata }) => metadata.name);
  throw new Error(`no ${kind} ${name}, but ${names.join(", ") || "none"}`);
}

export const named = (manifests: readonly Manifest[], kind: string): readonly string[] =>
  manifests.filter((each) => each.kind === kind).map(({ metadata }) => metadata.name);

export interface Pod {
  /** `Deployment culvert-credential`. */
  readonly owner: string;
  readonly component: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly spec: PodSpec;
}

/** The pods that the workloads make, one each, and those that stand by themselves. */
export function pods(manifests: readonly Manifest[]): readonly Pod[] {
  return manifests.flatMap(({ kind, metadata, spec }) => {
    const owner = `${kind} ${metadata.name}`;
    const component = metadata.labels?.["app.kubernetes.io/component"] ?? "";
    if (kind === "Pod" && spec !== undefined) {
      return [{ owner, component, name: metadata.name, labels: metadata.labels ?? {}, spec }];
    }
    const template = spec?.template;
    if (template === undefined) return [];
    const claims = (spec?.volumeClaimTemplates ?? []).map((claim) => ({
      name: claim.metadata.name,
      persistentVolumeClaim: { claimName: `${claim.metadata.name}-${metadata.name}-0` },
    }));
    const volumes = [...(template.spec.volumes ?? []), ...claims];
    const name = kind === "StatefulSet" ? `${metadata.name}-0` : `${metadata.name}-5d4f8c7b9-x2x4z`;
    return [{ owner, component, name, labels: template.metadata.labels ?? {}, spec: { ...template.spec, volumes } }];
  });
}

export function podOf(manifests: readonly Manifest[], component: string): Pod {
  const found = pods(manifests).find((pod) => pod.component === component);
  if (found === undefined) throw new Error(`no pod of ${component}`);
  return found;
}

/** The container of the service itself. */
export function serviceContainer(pod: Pod): Container {
  const found = pod.spec.containers?.find(({ name }) => name === pod.component);
  if (found === undefined) throw new Error(`${pod.owner}: no container ${pod.component}`);
  return found;
}

/** The services of the platform. */
export const SERVICES = ["credential", "signaling", "stun", "relay"] as const;
export type Service = (typeof SERVICES)[number];

export const isService = (component: string): component is Service => SERVICES.some((service) => service === component);
