/** What one hub grants its clients. Times are milliseconds. */
export interface Limits {
  /** The longest message in bytes of UTF-8. */
  readonly messageBytes: number;
  /** How deep objects and arrays may nest in a message. */
  readonly depth: number;
  /** How long a connection may take until its `hello` is accepted. */
  readonly helloTimeoutMs: number;
  /** How long a session without a connection can be resumed. */
  readonly resumeTtlMs: number;
  /** What `hello` tells the client about the interval of the server's keep-alive. */
  readonly pingMs: number;
  /** The longest the server keeps an acknowledgement back, hoping for a message that carries it. */
  readonly ackDelayMs: number;
  /** Messages not yet acknowledged by a client, after which its session ends as a slow consumer. */
  readonly outboxMessages: number;
  /** The same in bytes of UTF-8. */
  readonly outboxBytes: number;
  /** Messages of one session that may wait for another replica at a time. */
  readonly pendingMessages: number;
  /** Messages a second that a client may send in the long run, and at once after a quiet time. */
  readonly messagesPerSecond: number;
  readonly messageBurst: number;
  /** Messages refused as wrong (unknown type, invalid data, ...) after which a connection is closed. */
  readonly violations: number;
  readonly roomsPerSession: number;
  readonly membersPerRoom: number;
  readonly sessionsPerUser: number;
  /** Users whose presence one session may watch. */
  readonly watchesPerSession: number;
}

export const DEFAULT_LIMITS: Limits = {
  messageBytes: 64 * 1024,
  depth: 16,
  helloTimeoutMs: 10_000,
  resumeTtlMs: 60_000,
  pingMs: 25_000,
  ackDelayMs: 40,
  outboxMessages: 256,
  outboxBytes: 256 * 1024,
  pendingMessages: 128,
  messagesPerSecond: 50,
  messageBurst: 200,
  violations: 32,
  roomsPerSession: 32,
  membersPerRoom: 64,
  sessionsPerUser: 8,
  watchesPerSession: 256,
};
