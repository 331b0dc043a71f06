import { ConfigError } from "@culvert/config";
import type { LiveConfig } from "@culvert/turn";
import type { RelayConfig } from "./config.ts";
import { PeerPolicies } from "./peer-policy.ts";
import { turnLimits } from "./turn-config.ts";

const LIVE = [
  "software",
  "lifetime",
  "rfc5766Channels",
  "auth.users",
  "auth.nonceKeys",
  "peers",
  "quotas",
  "limits",
  "drain",
  "externalAddress",
  "credential.token",
  "fleet.secrets",
  "fleet.onStateLoss",
  "grpc.token",
  "logLevel",
] as const;

/**
 * The keys of a relay that may change while it runs. Where it has told its clients that it knows users by their hash (RFC
 * 8489 section 9.2), it may not come to know users that it cannot know that way.
 */
export function liveKeys({ auth }: RelayConfig, usesKeys: boolean): readonly string[] {
  const knowsHashes = !usesKeys && auth.secrets.length === 0 && auth.users.length > 0;
  return knowsHashes ? LIVE : [...LIVE, "auth.secrets"];
}

/** Throws a ConfigError of one line for what the schema cannot see: nobody who could allocate, or peers that make no sense. */
export function checkRelayConfig(config: RelayConfig, usesKeys: boolean): void {
  if (!usesKeys && config.auth.users.length + config.auth.secrets.length === 0) {
    throw new ConfigError(
      "relay.credential.target: missing: must be set, or relay.auth.users or relay.auth.secrets (CULVERT_RELAY_CREDENTIAL_TARGET)",
    );
  }
  PeerPolicies.check(config);
}

/** What of the configuration the TURN server takes over while it runs. */
export function liveTurnConfig(config: RelayConfig): LiveConfig {
  const { software, lifetime, rfc5766Channels } = config;
  return {
    software,
    defaultLifetimeSeconds: lifetime.default,
    maxLifetimeSeconds: lifetime.max,
    rfc5766Channels,
    limits: turnLimits(config),
  };
}
