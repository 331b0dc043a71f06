import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ConfigError } from "@culvert/config";
import type { Resolver } from "../adapters/own-backends.ts";
import type { ExternalAddressConfig, NodeConfig, ServiceConfig } from "./config.ts";
import type { Source } from "./source.ts";

export interface SourcesOptions {
  readonly config: ExternalAddressConfig;
  readonly env: NodeJS.ProcessEnv;
  readonly resolver: Resolver;
  /** Addresses of this host whose external ones are wanted. */
  readonly from: readonly string[];
}

/** The sources that are configured, the one that counts most first. Throws a ConfigError of one line. */
export async function openSources(options: SourcesOptions): Promise<readonly Source[]> {
  const { config, from } = options;
  const { node, service, stun } = config;
  const sources: Source[] = [];
  if (service !== undefined || node !== undefined) sources.push(await kubernetesSource(options));
  if (stun !== undefined) {
    const { StunSource } = await import("./stun-source.ts");
    sources.push(new StunSource({ ...stun, from }));
  }
  return sources;
}

async function kubernetesSource({ config, env, resolver }: SourcesOptions): Promise<Source> {
  const { KubeApi, kubeAccess } = await import("./kube-api.ts");
  const api = new KubeApi(kubeAccess(config.kubernetes, env));
  if (config.service !== undefined) {
    const { ServiceSource } = await import("./service-source.ts");
    const namespace = namespaceOf(config.service, config, env);
    return new ServiceSource({ api, namespace, service: config.service.name, resolver });
  }
  const { NodeSource } = await import("./node-source.ts");
  const { annotation } = config.node ?? { annotation: "" };
  return new NodeSource({ api, node: nodeName(config.node, env), annotation });
}

function nodeName(node: NodeConfig | undefined, env: NodeJS.ProcessEnv): string {
  const name = node?.name ?? (env.CULVERT_NODE_NAME || env.NODE_NAME);
  if (name !== undefined && name !== "") return name;
  throw new ConfigError(
    "relay.externalAddress.node.name: missing: must be the name of the node, such as spec.nodeName (CULVERT_RELAY_EXTERNAL_ADDRESS_NODE_NAME)",
  );
}

function namespaceOf({ namespace }: ServiceConfig, config: ExternalAddressConfig, env: NodeJS.ProcessEnv): string {
  const known = namespace ?? (env.CULVERT_POD_NAMESPACE || env.POD_NAMESPACE);
  if (known !== undefined && known !== "") return known;
  try {
    return readFileSync(join(dirname(config.kubernetes.tokenFile), "namespace"), "utf8").trim();
  } catch {
    throw new ConfigError(
      "relay.externalAddress.service.namespace: missing: must be the namespace of the Service (CULVERT_RELAY_EXTERNAL_ADDRESS_SERVICE_NAMESPACE)",
    );
  }
}
