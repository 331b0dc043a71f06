/** RFC 8489 section 5. */
export const MAGIC_COOKIE = 0x2112a442;
/** Bytes of the STUN header. */
export const HEADER_LENGTH = 20;
/** The port of STUN and TURN over UDP and TCP (RFC 8489 section 18.6). */
export const DEFAULT_PORT = 3478;
/** The port of STUN and TURN over TLS and DTLS. */
export const DEFAULT_TLS_PORT = 5349;

/** STUN methods, 12 bits. */
export const Method = {
  /** RFC 8489. */
  Binding: 0x001,
  /** RFC 3489; gone since RFC 5389. */
  SharedSecret: 0x002,
  /** RFC 8656. */
  Allocate: 0x003,
  Refresh: 0x004,
  Send: 0x006,
  Data: 0x007,
  CreatePermission: 0x008,
  ChannelBind: 0x009,
  /** RFC 6062. */
  Connect: 0x00a,
  ConnectionBind: 0x00b,
  ConnectionAttempt: 0x00c,
} as const;
export type Method = (typeof Method)[keyof typeof Method];

/** The class of a message, two bits (RFC 8489 section 5). */
export const MessageClass = { Request: 0, Indication: 1, Success: 2, Error: 3 } as const;
export type MessageClass = (typeof MessageClass)[keyof typeof MessageClass];

/** Error codes of IANA's "STUN Error Codes" registry, and of RFC 3489. */
export const ErrorCode = {
  TryAlternate: 300,
  BadRequest: 400,
  Unauthenticated: 401,
  Forbidden: 403,
  MobilityForbidden: 405,
  UnknownAttribute: 420,
  /** RFC 3489. */
  StaleCredentials: 430,
  IntegrityCheckFailure: 431,
  MissingUsername: 432,
  UseTls: 433,
  AllocationMismatch: 437,
  StaleNonce: 438,
  AddressFamilyNotSupported: 440,
  WrongCredentials: 441,
  UnsupportedTransport: 442,
  PeerAddressFamilyMismatch: 443,
  ConnectionAlreadyExists: 446,
  ConnectionTimeoutOrFailure: 447,
  AllocationQuotaReached: 486,
  RoleConflict: 487,
  ServerError: 500,
  InsufficientCapacity: 508,
  /** RFC 3489. */
  GlobalFailure: 600,
} as const;
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

const REASONS: ReadonlyMap<number, string> = new Map<ErrorCode, string>([
  [300, "Try Alternate"],
  [400, "Bad Request"],
  [401, "Unauthenticated"],
  [403, "Forbidden"],
  [405, "Mobility Forbidden"],
  [420, "Unknown Attribute"],
  [430, "Stale Credentials"],
  [431, "Integrity Check Failure"],
  [432, "Missing Username"],
  [433, "Use TLS"],
  [437, "Allocation Mismatch"],
  [438, "Stale Nonce"],
  [440, "Address Family not Supported"],
  [441, "Wrong Credentials"],
  [442, "Unsupported Transport Protocol"],
  [443, "Peer Address Family Mismatch"],
  [446, "Connection Already Exists"],
  [447, "Connection Timeout or Failure"],
  [486, "Allocation Quota Reached"],
  [487, "Role Conflict"],
  [500, "Server Error"],
  [508, "Insufficient Capacity"],
  [600, "Global Failure"],
]);

/** The registered name of an error code, or "" for one that is not registered. */
export function reasonPhrase(code: number): string {
  return REASONS.get(code) ?? "";
}

/** Values of REQUESTED-TRANSPORT: IP protocol numbers (RFC 8656 section 18.8, RFC 6062 section 6). */
export const TransportProtocol = { Tcp: 6, Udp: 17 } as const;
export type TransportProtocol = (typeof TransportProtocol)[keyof typeof TransportProtocol];

/** Values of PASSWORD-ALGORITHM (RFC 8489 section 18.5). */
export const PasswordAlgorithmId = { Md5: 1, Sha256: 2 } as const;
export type PasswordAlgorithmId = (typeof PasswordAlgorithmId)[keyof typeof PasswordAlgorithmId];

/** The first 16 bits of a message: class and method interleaved (RFC 8489 figure 3). */
export function messageType(method: number, messageClass: MessageClass): number {
  const methodBits = (method & 0x000f) | ((method & 0x0070) << 1) | ((method & 0x0f80) << 2);
  return methodBits | ((messageClass & 1) << 4) | ((messageClass & 2) << 7);
}

export function methodOf(type: number): number {
  return (type & 0x000f) | ((type >> 1) & 0x0070) | ((type >> 2) & 0x0f80);
}

const CLASSES = [MessageClass.Request, MessageClass.Indication, MessageClass.Success, MessageClass.Error] as const;

export function classOf(type: number): MessageClass {
  return CLASSES[((type >> 4) & 1) | ((type >> 7) & 2)] ?? MessageClass.Request;
}
