export type { Alternate } from "./alternates.ts";
export type {
  Authenticator,
  Claims,
  CredentialQuery,
  CredentialResolution,
  KnownCredential,
  PasswordCandidate,
  RejectedCredential,
} from "./authenticator.ts";
export { type Cidr, type CidrResult, cidrContains, parseCidr } from "./cidr.ts";
export {
  type Admission,
  DEFAULT_LIMITS,
  type ListenerConfig,
  type LiveConfig,
  type Mobility,
  type RelayAddressConfig,
  type TurnLimits,
  type TurnServerConfig,
} from "./config.ts";
export type { Draining } from "./core.ts";
export * from "./io.ts";
export type { AllocationInfo, RelayInfo } from "./listing.ts";
export * from "./outputs.ts";
export {
  type FleetRelay,
  inAnyRange,
  NEVER_PEERS,
  type PeerPolicy,
  type PeerPolicyConfig,
  type PeerPolicyResult,
  type PeerVerdict,
  PRIVATE_PEERS,
  parsePeerPolicy,
} from "./peer-policy.ts";
export type { SlotConfig } from "./places.ts";
export type { RandomSource } from "./random.ts";
export { type Rate, SourceLimiter } from "./rate-limit.ts";
export type { RestoreOptions } from "./restore.ts";
export { type RevocationSubject, TurnServer, type TurnServerPorts } from "./server.ts";
export type { AllocationSnapshot, ChannelSnapshot, PermissionSnapshot, RelaySnapshot } from "./snapshot.ts";
export type { Origin, PartnerAddress, StunListenerConfig } from "./stun-addresses.ts";
export { type AskPartner, type StunOutput, StunServer, type StunServerConfig } from "./stun-server.ts";
export { readTicket, type Ticket } from "./tickets.ts";
