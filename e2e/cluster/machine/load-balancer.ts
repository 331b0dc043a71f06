import type { Host } from "../../chaos/support/namespaces.ts";
import type { Stage } from "../../chaos/support/stage.ts";
import type { ClusterApi, KubeObject } from "./api.ts";
import { BALANCER_IPS } from "./network.ts";

const LOOK_MS = 300;

interface Service extends KubeObject {
  readonly spec: {
    readonly type?: string;
    readonly loadBalancerIP?: string;
    readonly externalTrafficPolicy?: "Cluster" | "Local";
  };
  readonly status: { readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string }[] } };
}

interface EndpointSlice extends KubeObject {
  readonly endpoints?: readonly {
    readonly nodeName?: string;
    readonly conditions?: { readonly ready?: boolean; readonly serving?: boolean };
  }[];
}

/**
 * The site's load balancer: gives each Service of type LoadBalancer an address, and leads it to a node that has a pod of the Service
 * serving, as one on layer 2 does. What is behind that is kube-proxy's.
 */
export class LoadBalancer {
  readonly #api: ClusterApi;
  readonly #client: Host;
  readonly #nodes: ReadonlyMap<string, Host>;
  /** Address by Service. */
  readonly #given = new Map<string, string>();
  readonly #leadsTo = new Map<string, string>();
  #stopped = false;
  #failure = "";

  static start(stage: Stage, api: ClusterApi, client: Host, nodes: ReadonlyMap<string, Host>): LoadBalancer {
    const balancer = new LoadBalancer(api, client, nodes);
    const done = balancer.#run();
    stage.atEnd(() => {
      balancer.#stopped = true;
      return done;
    });
    return balancer;
  }

  private constructor(api: ClusterApi, client: Host, nodes: ReadonlyMap<string, Host>) {
    this.#api = api;
    this.#client = client;
    this.#nodes = nodes;
  }

  /** What went wrong last; nothing when all went well. */
  get failure(): string {
    return this.#failure;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#look();
        this.#failure = "";
      } catch (error) {
        this.#failure = String(error);
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  async #look(): Promise<void> {
    const services = (await this.#api.list<Service>("/api/v1/services")).filter(
      ({ spec, metadata }) => spec.type === "LoadBalancer" && metadata.deletionTimestamp === undefined,
    );
    const keys = new Set(services.map(keyOf));
    for (const key of this.#given.keys()) if (!keys.has(key)) this.#given.delete(key);
    for (const service of services) {
      const { namespace = "", name } = service.metadata;
      const ip = this.#addressFor(service);
      if (service.status.loadBalancer?.ingress?.[0]?.ip !== ip) {
        await this.#api.patch(`/api/v1/namespaces/${namespace}/services/${name}/status`, {
          status: { loadBalancer: { ingress: [{ ip, ipMode: "VIP" }] } },
        });
      }
      // With the policy Cluster every node leads to every pod, and a connection that came to another node in its middle would be reset.
      if (service.spec.externalTrafficPolicy === "Local" || !this.#leadsTo.has(ip))
        await this.#lead(namespace, name, ip);
    }
  }

  #addressFor(service: Service): string {
    const key = keyOf(service);
    const taken = new Set(this.#given.values());
    const ip = this.#given.get(key) ?? service.spec.loadBalancerIP ?? BALANCER_IPS.find((free) => !taken.has(free));
    if (ip === undefined) throw new Error(`no address is left for ${key}`);
    this.#given.set(key, ip);
    return ip;
  }

  async #lead(namespace: string, name: string, ip: string): Promise<void> {
    const selector = encodeURIComponent(`kubernetes.io/service-name=${name}`);
    const path = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices?labelSelector=${selector}`;
    const slices = await this.#api.list<EndpointSlice>(path);
    const endpoints = slices.flatMap((slice) => slice.endpoints ?? []);
    const ready = endpoints.filter(({ conditions }) => conditions?.ready !== false);
    const serving = endpoints.filter(({ conditions }) => conditions?.serving !== false);
    const candidates = (ready.length > 0 ? ready : serving).flatMap(({ nodeName }) => nodeName ?? []);
    const now = this.#leadsTo.get(ip);
    const [node = now] = now !== undefined && candidates.includes(now) ? [now] : candidates;
    const host = node === undefined ? undefined : this.#nodes.get(node);
    if (node === undefined || host === undefined || node === now) return;
    await this.#client.pointTo(ip, host);
    this.#leadsTo.set(ip, node);
  }
}

function keyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ""}/${metadata.name}`;
}
