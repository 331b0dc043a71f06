import type { HostAddress } from "@culvert/config";
import type { BoundListener } from "@culvert/dataplane";
import { utf8Encode } from "@culvert/stun";
import type { PeerPolicy, TurnLimits, TurnServerConfig } from "@culvert/turn";
import type { RelayAddress, RelayConfig } from "./config.ts";

export interface TurnConfigSources {
  readonly config: RelayConfig;
  readonly bound: readonly BoundListener[];
  readonly relays: readonly RelayAddress[];
  readonly host: readonly HostAddress[];
  readonly policy: PeerPolicy;
  /** At least one. */
  readonly nonceKeys: readonly Uint8Array[];
}

/** The configuration of the TURN server, from that of the service and what came of it. */
export function turnServerConfig(sources: TurnConfigSources): TurnServerConfig {
  const { config, bound, relays, host, policy, nonceKeys } = sources;
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
    nonceKeys,
    nonceLifetimeSeconds: auth.nonceLifetime,
    passwordAlgorithms: auth.algorithms,
    policy,
    defaultLifetimeSeconds: lifetime.default,
    maxLifetimeSeconds: lifetime.max,
    rfc5766Channels: config.rfc5766Channels,
    limits: turnLimits(config),
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

export function configuredNonceKeys({ auth }: RelayConfig): readonly Uint8Array[] {
  return auth.nonceKeys.map(utf8Encode);
}
