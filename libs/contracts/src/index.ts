export {
  KeyServiceClient,
  type KeyServiceServer,
  KeyServiceService,
  WatchKeysRequest,
  WatchKeysResponse,
} from "./generated/culvert/credential/v1/keys.ts";
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
  bearerMetadata,
  type ClientCredentials,
  channelCredentials,
  hasBearer,
  KEEPALIVE,
  type ServerTls,
  serverCredentials,
} from "./transport.ts";
