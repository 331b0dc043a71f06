export { hostOfTarget, OwnBackends } from "./adapters/own-backends.ts";
export { resolveRelayAddresses } from "./addresses.ts";
export type { ListenerConfig, RelayAddress, RelayConfig } from "./config.ts";
export { relayConfigSchema } from "./config-schema.ts";
export type { RelayPorts } from "./ports.ts";
export { createRelayService, type RelayInfo, type RelayService } from "./relay-service.ts";
