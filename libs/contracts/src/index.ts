export {
  KeyServiceClient,
  type KeyServiceServer,
  KeyServiceService,
  WatchKeysRequest,
  WatchKeysResponse,
} from "./generated/culvert/credential/v1/keys.ts";
export {
  type RelayServiceServer,
  RelayServiceService,
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
export { createRelayClient, type RelayClient, type RelayClientOptions } from "./relay-client.ts";
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
export { publishRevocationHint, withRevocationHints } from "./revocation-hints.ts";
export { type BearerRule, bearerRefusal, closeGrpc, type Failures, listenGrpc, peerIp } from "./server.ts";
export { endCall, enterCall, rpcSpan, tracedMetadata } from "./tracing.ts";
export {
  bearerMetadata,
  type ClientCredentials,
  channelCredentials,
  hasBearer,
  KEEPALIVE,
  type ServerTls,
  type ServerTlsSource,
  serverCredentials,
} from "./transport.ts";
