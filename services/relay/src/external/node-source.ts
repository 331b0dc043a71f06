import { isIpAddress } from "@culvert/config";
import type { KubeApi } from "./kube-api.ts";
import { KubeObject, listAt, mappingAt, metadataOf } from "./kube-object.ts";
import { type ByFamily, familyOf, firstOfEach, type Report, type Source } from "./source.ts";

export interface NodeSourceOptions {
  readonly api: KubeApi;
  readonly node: string;
  readonly annotation: string;
}

/** The annotation of a Kubernetes node, and its addresses of the type ExternalIP for the families that it does not name. */
export class NodeSource implements Source {
  readonly name: string;
  readonly lacks: string;
  readonly #options: NodeSourceOptions;
  #object: KubeObject | undefined;

  constructor(options: NodeSourceOptions) {
    this.#options = options;
    this.name = `node ${options.node}`;
    this.lacks = `has neither the annotation ${options.annotation} nor an ExternalIP`;
  }

  follow(report: (report: Report) => void): void {
    const { api, node, annotation } = this.#options;
    this.#object = new KubeObject({
      api,
      collection: "/api/v1/nodes",
      name: node,
      onObject: (object) => report(read(object, annotation)),
      onError: ({ message, status }) =>
        report({ ok: false, problem: `could not be read: ${message}`, pending: status !== 403 && status !== 401 }),
    });
    this.#object.follow();
  }

  close(): void {
    this.#object?.close();
  }
}

function read(node: unknown, annotation: string): Report {
  const addresses = listAt(mappingAt(node, "status"), "addresses");
  const external = addresses.flatMap(({ type, address }) =>
    type === "ExternalIP" && typeof address === "string" && isIpAddress(address) ? [address] : [],
  );
  const text = mappingAt(metadataOf(node), "annotations")[annotation];
  if (typeof text !== "string" || text.trim() === "") return { ok: true, found: firstOfEach(external) };
  const annotated = parseAnnotation(text);
  if (annotated === undefined) {
    const problem = `its annotation ${annotation}: ${JSON.stringify(text.slice(0, 80))}: must be an IP address, or one of each family with a comma`;
    return { ok: false, problem, pending: true };
  }
  return { ok: true, found: { ...firstOfEach(external), ...annotated } };
}

/** Undefined for what is no address of each family at most. */
function parseAnnotation(text: string): ByFamily | undefined {
  const ips = text.split(",").map((ip) => ip.trim());
  const isEachOnce = new Set(ips.map(familyOf)).size === ips.length;
  return isEachOnce && ips.every(isIpAddress) ? firstOfEach(ips) : undefined;
}
