export { formatPeer, isUser, MAX_USER_LENGTH, type PeerAddress, parsePeer } from "./address.ts";
export {
  CloseCode,
  ERRORS,
  type ErrorKind,
  PROTOCOL_VERSION,
  type SignalingErrorCode,
  SUBPROTOCOL,
} from "./codes.ts";
export { type ClientFrame, type FrameResult, type Header, parseClientFrame } from "./envelope.ts";
export { Hub } from "./hub.ts";
export type {
  ConnectionId,
  HubConfig,
  HubEvent,
  HubOutput,
  HubPorts,
  Millis,
  Principal,
  VerifyResult,
} from "./io.ts";
export { utf8Length } from "./json.ts";
export { DEFAULT_LIMITS, type Limits } from "./limits.ts";
export * from "./messages/client.ts";
export type * from "./messages/network.ts";
export type * from "./messages/parts.ts";
export * from "./messages/server.ts";
export type { RandomSource } from "./random.ts";
export type { ResumeSigner } from "./resume-token.ts";
export type { PeerReports } from "./session.ts";
