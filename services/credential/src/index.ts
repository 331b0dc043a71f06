export {
  APPLICATION_SCOPES,
  type CredentialServiceConfig,
  type KeyConfig,
  SCOPES,
  type Scope,
  type TenantConfig,
  type TokenConfig,
} from "./config.ts";
export { credentialConfigSchema } from "./config-schema.ts";
export type { CredentialServicePorts } from "./ports.ts";
export { type CredentialService, type CredentialServiceInfo, createCredentialService } from "./service.ts";
export { openStore } from "./store.ts";
export { type TurnUris, urisOf } from "./uris.ts";
