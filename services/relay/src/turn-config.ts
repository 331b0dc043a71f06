import type { HostAddress } from "@culvert/config";
import type { BoundListener } from "@culvert/dataplane";
import { utf8Encode } from "@culvert/stun";
import type { Logger } from "@culvert/telemetry";
import type { PeerPolicy, RandomSource, TurnLimits, TurnServerConfig } from "@culvert/turn";
import type { RelayAddress, RelayConfig } from "./config.ts";

export interface TurnConfigSources {
  readonly config: RelayConfig;
  readonly bound: readonly BoundListener[];
  readonly relays: readonly RelayAddress[];
  readonly host: readonly HostAddress[];
  readonly policy: PeerPolicy;
  /** What takes the place of the configuration's, in a fleet; the keys of nonces in any case. */
  readonly fixed: Partial<TurnServerConfig> & Pick<TurnServerConfig, "nonceKeys">;
}

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
    limits: turnLimits(config),
    ...fixed,
  };
}

function turnLimits({ limits, quotas }: RelayConfig): Partial<TurnLimits> {
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

/** The keys of a relay by itself: those configured, or a random one. */
export function ownNonceKeys({ auth }: RelayConfig, random: RandomSource, logger: Logger): readonly Uint8Array[] {
  if (auth.nonceKeys.length > 0) return auth.nonceKeys.map(utf8Encode);
  logger.info("relay.auth.nonceKeys is not set: nonces are this relay's own and end with it");
  return [random.bytes(32)];
}
