export type {
  ApiToken,
  CredentialStore,
  StoredKey,
  StoreWatch,
  Tenant,
  TenantLimits,
  TenantQuotas,
} from "./credential-store.ts";
export { createMemoryCredentialStore } from "./memory-credential-store.ts";
