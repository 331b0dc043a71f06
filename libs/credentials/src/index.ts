export {
  type ClaimsProblem,
  type ClaimsResult,
  type CredentialClaims,
  canonicalCidr,
  checkClaims,
  isOpaqueText,
  MAX_PEER_CIDRS,
  MAX_USER_BYTES,
  type UncheckedClaims,
} from "./claims.ts";
export { KeyRing, type PasswordCandidate, type RejectionReason, type Resolution } from "./key-ring.ts";
export { type FirstSnapshot, firstSnapshot, type KeySink, type KeySource, type KeyWatch } from "./key-source.ts";
export {
  type CredentialCrypto,
  DEFAULT_TENANT,
  ID_PATTERN,
  isId,
  type KeyChange,
  type KeySnapshot,
  type KeyState,
  type KeyUpdate,
  type Revocation,
  type RevocationSubject,
  type SigningKey,
} from "./keys.ts";
export {
  type Credential,
  CredentialError,
  type CredentialErrorCode,
  mintCredential,
  mintedPassword,
  mintRest,
  restPassword,
} from "./mint.ts";
export { deriveSignalingKey, SIGNALING_AUDIENCE } from "./signaling-key.ts";
export { MAX_USERNAME_BYTES, type ParsedUsername, parseUsername, userOf } from "./username.ts";
