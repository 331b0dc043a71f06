/** The WebSocket subprotocol, versioned with the envelope. */
export const SUBPROTOCOL = "culvert.signaling.v1";

/** The `v` of every message. */
export const PROTOCOL_VERSION = 1;

/** Close codes of the WebSocket (RFC 6455 section 7.4; 4000 and above are the application's). */
export const CloseCode: {
  readonly Normal: 1000;
  readonly GoingAway: 1001;
  readonly UnsupportedData: 1003;
  readonly TooLarge: 1009;
  readonly BadMessage: 4400;
  readonly Unauthenticated: 4401;
  readonly Forbidden: 4403;
  readonly HelloTimeout: 4408;
  readonly Superseded: 4409;
  readonly Evicted: 4410;
  readonly SlowConsumer: 4413;
  readonly TooMany: 4429;
} = {
  Normal: 1000,
  GoingAway: 1001,
  UnsupportedData: 1003,
  TooLarge: 1009,
  BadMessage: 4400,
  Unauthenticated: 4401,
  Forbidden: 4403,
  HelloTimeout: 4408,
  Superseded: 4409,
  Evicted: 4410,
  SlowConsumer: 4413,
  TooMany: 4429,
};

export interface ErrorKind {
  /** What the client is told, besides the code. */
  readonly text: string;
  /** Present if the connection is closed after the error. */
  readonly close?: number;
  /** Counts towards {@link Limits.violations}: a client that works never causes it. */
  readonly violation?: true;
  /** Seconds after which the same may be tried again. */
  readonly retryAfter?: number;
}

export type SignalingErrorCode =
  | "bad_message"
  | "too_large"
  | "unsupported_version"
  | "bad_sequence"
  | "hello_expected"
  | "hello_timeout"
  | "unauthenticated"
  | "auth_expired"
  | "auth_revoked"
  | "resume_refused"
  | "forged_from"
  | "superseded"
  | "evicted"
  | "slow_consumer"
  | "too_many_sessions"
  | "flood"
  | "too_many_violations"
  | "rate_limited"
  | "unknown_type"
  | "not_allowed"
  | "invalid_data"
  | "not_in_room"
  | "peer_unavailable"
  | "room_full"
  | "too_many_rooms"
  | "too_many_watches";

/** Every error that a client can get, and what follows. */
export const ERRORS: Readonly<Record<SignalingErrorCode, ErrorKind>> = {
  bad_message: { text: "not a message of this protocol", close: CloseCode.BadMessage },
  too_large: { text: "the message is too large", close: CloseCode.TooLarge },
  unsupported_version: { text: "this server speaks version 1", close: CloseCode.BadMessage },
  bad_sequence: { text: "seq, ack or lastSeq does not follow", close: CloseCode.BadMessage },
  hello_expected: { text: "the first message must be hello", close: CloseCode.BadMessage },
  hello_timeout: { text: "no accepted hello in time", close: CloseCode.HelloTimeout },
  unauthenticated: { text: "the token is not accepted", close: CloseCode.Unauthenticated },
  auth_expired: { text: "the token has expired", close: CloseCode.Unauthenticated },
  auth_revoked: { text: "the token was revoked", close: CloseCode.Unauthenticated },
  resume_refused: { text: "the session cannot be resumed: say hello with auth", close: CloseCode.Unauthenticated },
  forged_from: { text: "from is stamped by the server", close: CloseCode.Forbidden },
  superseded: { text: "the session was resumed on another connection", close: CloseCode.Superseded },
  evicted: { text: "the session made room for a newer one", close: CloseCode.Evicted },
  slow_consumer: { text: "too many messages wait for an acknowledgement", close: CloseCode.SlowConsumer },
  too_many_sessions: { text: "the user has too many sessions", close: CloseCode.TooMany, retryAfter: 60 },
  flood: { text: "too many messages", close: CloseCode.TooMany, retryAfter: 10 },
  too_many_violations: { text: "too many refused messages", close: CloseCode.BadMessage },
  rate_limited: { text: "too many messages; this one was not processed", retryAfter: 1 },
  unknown_type: { text: "there is no such type", violation: true },
  not_allowed: { text: "only the server sends this type", violation: true },
  invalid_data: { text: "the data is not what the type asks for", violation: true },
  not_in_room: { text: "not a member of the room", violation: true },
  peer_unavailable: { text: "no such peer is connected" },
  room_full: { text: "the room is full", retryAfter: 5 },
  too_many_rooms: { text: "the session is in too many rooms" },
  too_many_watches: { text: "the session watches too many users" },
};
