import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "@culvert/config";
import { credentialConfigSchema } from "@culvert/credential-service";
import { relayConfigSchema } from "@culvert/relay-service";
import { signalingConfigSchema } from "@culvert/signaling-service";
import { stunConfigSchema } from "@culvert/stun-service";
import type { z } from "zod";
import { find, type Pod, type Service, serviceContainer } from "./manifests.ts";
import type { EnvVar, Manifest, Volume } from "./model.ts";

const SCHEMAS: Readonly<Record<Service, z.ZodType>> = {
  credential: credentialConfigSchema,
  signaling: signalingConfigSchema,
  stun: stunConfigSchema,
  relay: relayConfigSchema,
};

/** Where the downward API would put a pod. */
const NODE_IP = "10.0.0.7";
const POD_IP = "10.244.1.7";

/** What a Secret from outside of the chart holds, by the file that it is mounted as. */
const FROM_OUTSIDE: Readonly<Record<string, string>> = {
  "fleet-secrets": `${"n".repeat(40)},${"o".repeat(40)}`,
  tenants: `[{ id: default, keys: [{ kid: k1, secret: ${"s".repeat(32)} }] }]`,
  "static-auth-secrets": "the-new-one,the-old-one",
  "otlp-headers": "authorization=Bearer token",
};

/** What a file that a variable names would hold, from the pod's volumes. Throws when no volume has it. */
function mounted(manifests: readonly Manifest[], pod: Pod, path: string): string {
  const mounts = serviceContainer(pod).volumeMounts ?? [];
  const mount = mounts.find(({ mountPath }) => path.startsWith(`${mountPath}/`));
  const volume = pod.spec.volumes?.find(({ name }) => name === mount?.name);
  const file = path.slice((mount?.mountPath.length ?? 0) + 1);
  const text = volume === undefined ? undefined : contentOf(manifests, volume, file);
  if (text === undefined) throw new Error(`${pod.owner}: no volume holds ${path}`);
  return text;
}

function contentOf(manifests: readonly Manifest[], volume: Volume, file: string): string | undefined {
  for (const { secret } of volume.projected?.sources ?? []) {
    const item = secret?.items.find(({ path }) => path === file);
    if (secret === undefined || item === undefined) continue;
    const rendered = manifests.find(({ kind, metadata }) => kind === "Secret" && metadata.name === secret.name);
    if (rendered === undefined) return FROM_OUTSIDE[file] ?? "secret-from-outside-of-the-chart";
    const data = rendered.data?.[item.key];
    return data === undefined ? undefined : Buffer.from(data, "base64").toString("utf8");
  }
  return undefined;
}

function fieldsOf(pod: Pod): Readonly<Record<string, string>> {
  const ip = pod.spec.hostNetwork === true ? NODE_IP : POD_IP;
  return {
    "metadata.name": pod.name,
    "metadata.namespace": "voice",
    "metadata.labels['apps.kubernetes.io/pod-index']": /\d+$/.exec(pod.name)?.[0] ?? "",
    "spec.nodeName": "node-7",
    "status.podIP": ip,
    "status.podIPs": `${ip},fd00::7`,
    "status.hostIP": NODE_IP,
  };
}

/** `$(NAME)` of variables that stand before. */
const expanded = (text: string, env: Readonly<Record<string, string>>): string =>
  text.replace(/\$\((\w+)\)/g, (reference, name: string) => env[name] ?? reference);

export interface ServiceProcess {
  readonly args: readonly string[];
  /** Files that `_FILE` variables name are written into `folder`. */
  readonly env: Readonly<Record<string, string>>;
  /** The text of the configuration file. */
  readonly config: string;
}

/** The process of a service in its pod: its words and variables, as the kubelet would have them. */
export function serviceProcess(manifests: readonly Manifest[], pod: Pod, folder: string): ServiceProcess {
  const container = serviceContainer(pod);
  const env: Record<string, string> = {};
  for (const variable of container.env ?? []) env[variable.name] = variableText(manifests, pod, variable, env, folder);
  const args = (container.args ?? []).map((word) => expanded(word, env));
  const path = args[2] ?? "";
  const volume = pod.spec.volumes?.find(({ name }) => name === "config");
  const map = find(manifests, "ConfigMap", volume?.configMap?.name ?? "");
  const config = map.data?.[path.replace("/etc/culvert/", "")];
  if (config === undefined) throw new Error(`${pod.owner}: ${path} is not in its ConfigMap`);
  return { args, env, config };
}

function variableText(
  manifests: readonly Manifest[],
  pod: Pod,
  { name, value, valueFrom }: EnvVar,
  env: Readonly<Record<string, string>>,
  folder: string,
): string {
  if (valueFrom?.fieldRef !== undefined) {
    const field = fieldsOf(pod)[valueFrom.fieldRef.fieldPath];
    if (field === undefined) throw new Error(`${pod.owner}: ${name}: no such field ${valueFrom.fieldRef.fieldPath}`);
    return field;
  }
  const text = expanded(value ?? "", env);
  if (!name.endsWith("_FILE")) return text;
  const file = join(folder, name);
  writeFileSync(file, mounted(manifests, pod, text));
  return file;
}

/** The configuration that the service would run with, by its own loader. Throws what the service would say. */
export function loadedConfig(
  manifests: readonly Manifest[],
  pod: Pod,
  service: Service,
): Readonly<Record<string, unknown>> {
  const folder = mkdtempSync(join(tmpdir(), "culvert-chart-"));
  try {
    const { env, config } = serviceProcess(manifests, pod, folder);
    const file = join(folder, "culvert.yaml");
    writeFileSync(file, config);
    const loaded: unknown = loadConfig(SCHEMAS[service], { section: service, env, file });
    return { ...(typeof loaded === "object" ? loaded : {}) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
