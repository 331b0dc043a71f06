import { isIpAddress } from "@culvert/config";
import type { Resolver } from "../adapters/own-backends.ts";
import type { KubeApi } from "./kube-api.ts";
import { KubeObject, listAt, mappingAt } from "./kube-object.ts";
import { firstOfEach, type Report, type Source } from "./source.ts";

/** How often the name of a load balancer that has no address of its own is looked up, in ms. */
const LOOKUP_MS = 30_000;

export interface ServiceSourceOptions {
  readonly api: KubeApi;
  readonly namespace: string;
  readonly service: string;
  readonly resolver: Resolver;
}

/** The address that a Kubernetes Service has by its load balancer; where that has a name only, what the name leads to. */
export class ServiceSource implements Source {
  readonly name: string;
  readonly lacks: string = "has no address of a load balancer yet";
  readonly #options: ServiceSourceOptions;
  #object: KubeObject | undefined;
  #lookups: NodeJS.Timeout | undefined;
  #names: readonly string[] = [];

  constructor(options: ServiceSourceOptions) {
    this.#options = options;
    this.name = `service ${options.namespace}/${options.service}`;
  }

  follow(report: (report: Report) => void): void {
    const { api, namespace, service } = this.#options;
    this.#object = new KubeObject({
      api,
      collection: `/api/v1/namespaces/${namespace}/services`,
      name: service,
      onObject: (object) => this.#read(object, report),
      onError: ({ message, status }) =>
        report({ ok: false, problem: `could not be read: ${message}`, pending: status !== 403 && status !== 401 }),
    });
    this.#object.follow();
  }

  close(): void {
    clearInterval(this.#lookups);
    this.#object?.close();
  }

  #read(service: unknown, report: (report: Report) => void): void {
    const ingress = listAt(mappingAt(mappingAt(service, "status"), "loadBalancer"), "ingress");
    const ips = ingress.flatMap(({ ip }) => (typeof ip === "string" && isIpAddress(ip) ? [ip] : []));
    const names = ingress.flatMap(({ hostname }) =>
      typeof hostname === "string" && hostname !== "" ? [hostname] : [],
    );
    clearInterval(this.#lookups);
    this.#names = ips.length > 0 ? [] : names;
    if (ips.length > 0) report({ ok: true, found: firstOfEach(ips) });
    else if (names.length === 0) report({ ok: false, problem: this.lacks, pending: true });
    else {
      void this.#lookUp(names, report);
      this.#lookups = setInterval(() => void this.#lookUp(names, report), LOOKUP_MS);
      this.#lookups.unref();
    }
  }

  async #lookUp(names: readonly string[], report: (report: Report) => void): Promise<void> {
    let said: Report;
    try {
      const found = await Promise.all(names.map((name) => this.#options.resolver(name)));
      // Of several the same one each time, in whatever order they are answered.
      said = { ok: true, found: firstOfEach(found.flat().filter(isIpAddress).sort()) };
    } catch (error) {
      const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
      said = { ok: false, problem: `its host ${names.join(", ")} does not resolve (${code})`, pending: true };
    }
    if (this.#names === names) report(said);
  }
}
