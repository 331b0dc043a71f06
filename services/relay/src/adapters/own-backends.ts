import { getServers, lookup } from "node:dns/promises";
import { isIP } from "node:net";
import type { Logger } from "@culvert/telemetry";

/** Resolves a host name to all of its addresses. */
export type Resolver = (host: string) => Promise<readonly string[]>;

export const systemResolver: Resolver = async (host) =>
  (await lookup(host, { all: true })).map(({ address }) => address);

const ENDPOINT_VARIABLES = [
  "OTEL_EXPORTER_OTLP_ENDPOINT",
  "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
  "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
];

/** Hosts that the surroundings of the process name: the Kubernetes API, the telemetry collector, the name servers. */
export function surroundingHosts(env: NodeJS.ProcessEnv): readonly string[] {
  const api = env.KUBERNETES_SERVICE_HOST;
  const endpoints = ENDPOINT_VARIABLES.flatMap((name) => {
    const text = env[name] ?? "";
    return URL.canParse(text) ? [hostOfTarget(new URL(text).host)] : [];
  });
  return [...(api === undefined || api === "" ? [] : [api]), ...endpoints, ...getServers().map(hostOfTarget)];
}

/** The host of `host:port`, `[::1]:port` or a gRPC target such as `dns:///host:port`. */
export function hostOfTarget(target: string): string {
  const authority = target.replace(/^[a-z][a-z\d+.-]*:\/{2,3}/i, "");
  if (isIP(authority) !== 0) return authority;
  return authority.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
}

/**
 * The addresses behind the platform's own hosts: names resolved, addresses and ranges as they are. A name that does not
 * resolve keeps what it resolved to before.
 */
export class OwnBackends {
  #hosts: readonly string[];
  readonly #resolve: Resolver;
  readonly #logger: Logger;
  readonly #known: Map<string, readonly string[]> = new Map();

  constructor(hosts: readonly string[], resolve: Resolver, logger: Logger) {
    this.#hosts = [...new Set(hosts)];
    this.#resolve = resolve;
    this.#logger = logger;
  }

  /** Other hosts. Those that are new have no addresses before the next look. */
  setHosts(hosts: readonly string[]): void {
    this.#hosts = [...new Set(hosts)];
  }

  /** Looks every name up. Resolves to true when something changed. */
  async refresh(): Promise<boolean> {
    const before = this.ranges().join();
    await Promise.all(this.#hosts.map((host) => this.#refreshOne(host)));
    return this.ranges().join() !== before;
  }

  /**
   * Loopback is left out: it is never a peer by default, and where `dangerouslyAllow` opens it, it opens every service
   * of this host at once, which is what the operator asked for.
   */
  ranges(): readonly string[] {
    return this.#hosts
      .flatMap((host) => this.#known.get(host) ?? [])
      .filter((range) => !/^(127\.|::1(\/|$))/.test(range))
      .sort();
  }

  async #refreshOne(host: string): Promise<void> {
    if (isIP(host.split("/", 1)[0] ?? "") !== 0) {
      this.#known.set(host, [host]);
      return;
    }
    try {
      this.#known.set(host, await this.#resolve(host));
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : String(error);
      this.#logger.warn({ host, code }, "own backend does not resolve; it is not denied as a peer by its address");
    }
  }
}
