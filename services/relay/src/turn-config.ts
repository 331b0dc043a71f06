import type { HostAddress } from "@culvert/config";
import type { BoundListener } from "@culvert/dataplane";
import { fleetKeys } from "@culvert/fleet";
import { utf8Encode } from "@culvert/stun";
import type { PeerPolicy, TurnLimits, TurnServerConfig } from "@culvert/turn";
import { mobilityOf, type RelayAddress, type RelayConfig } from "./config.ts";
import type { ResolvedPorts } from "./ports.ts";

export interface TurnConfigSources {
  readonly config: RelayConfig;
  readonly bound: readonly BoundListener[];
  readonly relays: readonly RelayAddress[];
  readonly host: readonly HostAddress[];
  readonly policy: PeerPolicy;
  /** What takes the place of the configuration's, in a fleet; keys in any case. */
  readonly fixed: Partial<TurnServerConfig> & Pick<TurnServerConfig, "nonceKeys">;
}

type KeyPorts = Pick<ResolvedPorts, "crypto" | "random" | "logger">;
type OwnKeys = Pick<Required<TurnServerConfig>, "nonceKeys" | "ticketKeys">;

/** The configuration of the TURN server, from that of the service and what came of it. */
export function turnServerConfig(sources: TurnConfigSources): TurnServerConfig {
  const { config, bound, relays, host, policy, fixed } = sources;
  const { realm, software, ports, auth, lifetime } = config;
  return {
    realm,
    ...(software === undefined ? {} : { software }),
    listeners: bound.map(({ id, local }, index) => ({
      id,
      transport: config.listeners[index]?.transport ?? "udp",
      address: local,
    })),
    relays,
    hostAddresses: host.map(({ address }) => address),
    ports,
    nonceLifetimeSeconds: auth.nonceLifetime,
    passwordAlgorithms: auth.algorithms,
    policy,
    defaultLifetimeSeconds: lifetime.default,
    maxLifetimeSeconds: lifetime.max,
    rfc5766Channels: config.rfc5766Channels,
    mobility: mobilityOf(config),
    limits: turnLimits(config),
    ...fixed,
  };
}

/** What the TURN server limits. */
export function turnLimits({ limits, quotas }: RelayConfig): Partial<TurnLimits> {
  return {
    permissionsPerAllocation: limits.permissions,
    channelsPerAllocation: limits.channels,
    newPeersPerSecond: limits.newPeersPerSecond,
    newPeersBurst: limits.newPeersBurst,
    unauthenticatedPerSecond: limits.unauthenticatedPerSecond,
    unauthenticatedBurst: limits.unauthenticatedBurst,
    wrongPasswordsPerSecond: limits.wrongPasswordsPerSecond,
    wrongPasswordsBurst: limits.wrongPasswordsBurst,
    ...(quotas.user === undefined ? {} : { allocationsPerUser: quotas.user }),
    ...(quotas.tenant === undefined ? {} : { allocationsPerTenant: quotas.tenant }),
    ...(quotas.total === undefined ? {} : { allocations: quotas.total }),
  };
}

/**
 * The keys of a relay by itself: those configured, or random ones. Relays that share them read one another's mobility tickets,
 * and so can say that an allocation is gone (437).
 */
export function ownKeys({ auth }: RelayConfig, { crypto, random, logger }: KeyPorts): OwnKeys {
  const { nonceKeys } = auth;
  if (nonceKeys.length > 0) {
    return { nonceKeys: nonceKeys.map(utf8Encode), ticketKeys: fleetKeys(crypto, nonceKeys, "ticket") };
  }
  logger.info("relay.auth.nonceKeys is not set: nonces are this relay's own and end with it");
  return { nonceKeys: [random.bytes(32)], ticketKeys: [random.bytes(32)] };
}
