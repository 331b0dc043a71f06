import { ConfigError, type HostAddress } from "@culvert/config";
import type { Logger } from "@culvert/telemetry";
import { type FleetRelay, inAnyRange, type PeerPolicy, parsePeerPolicy } from "@culvert/turn";
import { hostOfTarget, OwnBackends, type Resolver, surroundingHosts } from "./adapters/own-backends.ts";
import type { PeersConfig, RelayConfig } from "./config.ts";
import type { RelayedAddresses } from "./relayed-addresses.ts";

const REFRESH_MS = 60_000;

export interface PeerPoliciesOptions {
  readonly config: RelayConfig;
  readonly relays: RelayedAddresses;
  readonly host: readonly HostAddress[];
  readonly resolver: Resolver;
  readonly env: NodeJS.ProcessEnv;
  readonly logger: Logger;
}

/** The peer policy, which changes when a name of an own backend resolves to something else. */
export class PeerPolicies {
  readonly #options: PeerPoliciesOptions;
  readonly #backends: OwnBackends;
  #config: RelayConfig;
  #timer: NodeJS.Timeout | undefined;
  #onChange: ((policy: PeerPolicy) => void) | undefined;
  /** Relayed addresses of the fleet, as its relays have them now. */
  #fleet: readonly FleetRelay[] = [];

  constructor(options: PeerPoliciesOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#backends = new OwnBackends(backendHosts(options.config, options.env), options.resolver, options.logger);
  }

  /** Throws a ConfigError of one line for ranges that make no sense. */
  async load(): Promise<PeerPolicy> {
    await this.#backends.refresh();
    return this.#build();
  }

  follow(onChange: (policy: PeerPolicy) => void): void {
    this.#onChange = onChange;
    this.#timer = setInterval(() => {
      this.#backends
        .refresh()
        .then((changed) => changed && onChange(this.#build()))
        .catch((error: unknown) => this.#options.logger.error({ err: error }, "peer policy not renewed"));
    }, REFRESH_MS);
    this.#timer.unref();
  }

  /** The relayed addresses of the other relays of the fleet: always peers, at their relayed ports. */
  setFleet(fleet: readonly FleetRelay[]): void {
    if (JSON.stringify(fleet) === JSON.stringify(this.#fleet)) return;
    this.#fleet = fleet;
    this.#onChange?.(this.#build());
  }

  /** Throws a ConfigError of one line for a configuration that {@link reconfigure} would not take. */
  static check({ peers: { allow, dangerouslyAllow, deny } }: RelayConfig): void {
    const result = parsePeerPolicy({ allow, dangerouslyAllow, deny });
    if (!result.ok) throw new ConfigError(`relay.peers.${result.error}`);
  }

  /** Takes another configuration: at once, and again when the names in it have been looked up. */
  async reconfigure(config: RelayConfig): Promise<void> {
    this.#config = config;
    this.#backends.setHosts(backendHosts(config, this.#options.env));
    this.rebuild();
    if (await this.#backends.refresh()) this.rebuild();
  }

  /** What the policy is made of has changed. */
  rebuild(): void {
    this.#onChange?.(this.#build());
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #build(): PeerPolicy {
    const { relays, host } = this.#options;
    const config = this.#config;
    const { allow, dangerouslyAllow, deny, fleet } = config.peers;
    const result = parsePeerPolicy({
      allow,
      dangerouslyAllow,
      deny,
      backends: [...this.#backends.ranges(), ...ownAddresses(config.peers, host, relays)],
      fleet: [...fleet.map(fleetRelay), ...this.#fleet],
    });
    if (!result.ok) throw new ConfigError(`relay.peers.${result.error}`);
    return result.policy;
  }
}

function backendHosts(config: RelayConfig, env: NodeJS.ProcessEnv): readonly string[] {
  const { credential, peers, fleet, telemetry } = config;
  const { redis, nats } = fleet ?? {};
  const targets = [
    ...(credential.target === undefined ? [] : [credential.target]),
    ...(redis?.url === undefined ? [] : [redis.url]),
    ...(redis?.sentinels ?? []),
    ...(redis?.cluster ?? []),
    ...(nats?.servers ?? []),
    ...(telemetry.otlp.endpoint === undefined ? [] : [new URL(telemetry.otlp.endpoint).host]),
  ];
  return [...targets.map(hostOfTarget), ...peers.backends, ...surroundingHosts(env)];
}

/**
 * Addresses of this host that it relays nothing on: what listens there is the platform's own, also behind a public
 * address. A range that the operator opened by name stays open.
 */
function ownAddresses(peers: PeersConfig, host: readonly HostAddress[], relays: RelayedAddresses): readonly string[] {
  const relayed = new Set(relays.current.flatMap(({ ip, external = ip }) => [ip, external]));
  const opened = [...peers.allow, ...peers.dangerouslyAllow];
  return host
    .filter(({ address, internal }) => !internal && !relayed.has(address) && !inAnyRange(opened, address))
    .map(({ address }) => address);
}

function fleetRelay({ range, ports }: PeersConfig["fleet"][number]): FleetRelay {
  return ports === undefined ? { range } : { range, ports };
}
