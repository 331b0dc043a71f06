export {
  KeyServiceClient,
  type KeyServiceServer,
  KeyServiceService,
  WatchKeysRequest,
  WatchKeysResponse,
} from "./generated/culvert/credential/v1/keys.ts";
export {
  DrainRequest,
  DrainResponse,
  GetAllocationRequest,
  GetAllocationResponse,
  ListAllocationsRequest,
  ListAllocationsResponse,
  ListRelaysRequest,
  ListRelaysResponse,
  RelayServiceClient,
  type RelayServiceServer,
  RelayServiceService,
  TerminateAllocationRequest,
  TerminateAllocationResponse,
  UndrainRequest,
  UndrainResponse,
  WatchAllocationsRequest,
  WatchAllocationsResponse,
} from "./generated/culvert/relay/v1/relay.ts";
export {
  DescribeRequest,
  DescribeResponse,
  Endpoint,
  PartnerServiceClient,
  type PartnerServiceServer,
  PartnerServiceService,
  RespondRequest,
  RespondResponse,
} from "./generated/culvert/stun/v1/partner.ts";
export { grpcKeySource, type KeySourceOptions, type WatchLogger } from "./key-source.ts";
export { ContractError, fromWatchKeysResponse, toWatchKeysResponse } from "./mappers.ts";
export {
  fromWatchAllocationsResponse,
  fromWireAllocation,
  fromWireFilter,
  fromWireRelay,
  toWatchAllocationsResponse,
  toWireAllocation,
  toWireFilter,
  toWireRelay,
} from "./relay-mappers.ts";
export type {
  AllocationChange,
  AllocationFilter,
  AllocationPage,
  AllocationStatus,
  ClientTransport,
  PageRequest,
  RelayedAddressStatus,
  RelayStatus,
  Traffic,
} from "./relay-status.ts";
export {
  bearerMetadata,
  type ClientCredentials,
  channelCredentials,
  hasBearer,
  KEEPALIVE,
  type ServerTls,
  serverCredentials,
} from "./transport.ts";
