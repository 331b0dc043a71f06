export type {
  ApiToken,
  CredentialStore,
  StoredKey,
  StoreWatch,
  Tenant,
  TenantLimits,
  TenantQuotas,
} from "./credential-store.ts";
export { createMemoryFleet, type MemoryFleet } from "./fleet/memory.ts";
export type {
  AcquireResult,
  AcquireRule,
  AdmitResult,
  AllocationRecord,
  FleetStore,
  FleetStoreCounters,
  FleetTime,
  FleetWrite,
  Lease,
  LeaseClaim,
  ListedRecord,
  QuotaLimits,
  RecordChannel,
  RecordClaims,
  RecordCounters,
  RecordFilter,
  RecordOwner,
  RecordPage,
  RecordPermission,
  RecordRelay,
  RecordReservation,
  RelayEntry,
  RelayLoad,
  Renewal,
  RenewResult,
  SlotState,
  StoreHealth,
  WriteResult,
} from "./fleet/port.ts";
export { createMemoryCredentialStore } from "./memory-credential-store.ts";
export { createRedisCredentialStore, type RedisCredentialStore } from "./redis/credentials/store.ts";
export { createRedisFleetStore, type RedisFleetStore } from "./redis/fleet/store.ts";
export type { RedisAddress, RedisLogger, RedisObserver, RedisOptions } from "./redis/options.ts";
export { StoreUnavailable } from "./store-unavailable.ts";
