import { ConfigError } from "@culvert/config";
import { formatStunUri, formatTurnUri, parseStunUri } from "@culvert/stun";
import type { CredentialServiceConfig } from "./config.ts";

/** Where clients find the platform: URIs of RFC 7064 and RFC 7065, in the order of preference. */
export interface TurnUris {
  readonly stun: readonly string[];
  readonly turn: readonly string[];
}

/**
 * The URIs that the configuration names.
 *
 * @throws ConfigError when it names none
 */
export function urisOf(config: Pick<CredentialServiceConfig, "uris" | "publicHost" | "turn">): TurnUris {
  if (config.uris.length > 0) {
    const isStun = (uri: string): boolean => parseStunUri(uri) !== undefined;
    return { stun: config.uris.filter(isStun), turn: config.uris.filter((uri) => !isStun(uri)) };
  }
  const { publicHost: host, turn } = config;
  if (host === undefined) {
    throw new ConfigError(
      "credential.publicHost: missing: must be the name or address under which clients reach the relays, unless credential.uris is there (CULVERT_CREDENTIAL_PUBLIC_HOST)",
    );
  }
  return {
    stun: [formatStunUri({ scheme: "stun", host, port: turn.stunPort })],
    turn: [
      ...turn.transports.map((transport) => formatTurnUri({ scheme: "turn", host, port: turn.port, transport })),
      ...(turn.tlsPort === undefined
        ? []
        : [formatTurnUri({ scheme: "turns", host, port: turn.tlsPort, transport: "tcp" })]),
    ],
  };
}
