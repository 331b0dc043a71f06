import type { SignalingErrorCode } from "../codes.ts";
import type { ConnectRequest, IceCandidate, IceDescription, IceRestart, RoomMessage } from "./client.ts";
import type { AttemptResult, Endpoint, PathUpdate } from "./network.ts";
import type { Empty } from "./parts.ts";

/** The first message of a connection. */
export interface Welcome {
  /** Milliseconds within which `hello` must be accepted. */
  readonly helloTimeoutMs: number;
  /** The longest message in bytes. */
  readonly maxMessageBytes: number;
}

export interface HelloResponse {
  readonly sessionId: string;
  /** `<user>/<sessionId>`: what peers see as `from`. */
  readonly address: string;
  /** Grows with every connection of the session; a lower one is fenced off. */
  readonly epoch: number;
  /** For the next resume; good once. */
  readonly resumeToken: string;
  /** Seconds for which the session can be resumed after the connection is lost. */
  readonly ttl: number;
  /** Milliseconds between the server's keep-alives. */
  readonly pingMs: number;
  readonly resumed: boolean;
  /** Messages were lost, or the session is a new one though the old was to be resumed: ask again for what matters. */
  readonly gap: boolean;
  /** The rooms that the session is in. */
  readonly rooms: readonly string[];
}

export interface PeerState {
  readonly peer: string;
  readonly status: string;
  readonly note?: string;
  /** False while the session waits to be resumed; messages to it are kept. */
  readonly connected: boolean;
}

export interface RoomJoined {
  /** The other members. */
  readonly members: readonly PeerState[];
}

export interface RoomEvent {
  readonly event: "join" | "leave";
  readonly peer: string;
  /** With `leave`: `left`, or why the session ended. */
  readonly reason?: string;
}

export interface PresenceState {
  readonly users: readonly { readonly user: string; readonly peers: readonly PeerState[] }[];
}

export interface PresenceUpdate {
  readonly user: string;
  readonly peer: string;
  readonly online: boolean;
  readonly status?: string;
  readonly note?: string;
}

export interface ErrorReport {
  readonly code: SignalingErrorCode;
  readonly message: string;
  /** The `seq` of the message that was refused. */
  readonly re?: number;
  /** Seconds. */
  readonly retryAfter?: number;
}

export interface ConnectPlan {
  readonly attemptId: string;
  readonly role: "controlling" | "controlled";
  readonly steps: readonly { readonly kind: string; readonly timeoutMs: number }[];
  readonly relay: "fallback" | "first" | "only" | "never";
}

export interface ReverseDial {
  readonly attemptId: string;
  readonly target: Endpoint;
}

export interface PunchSync {
  readonly attemptId: string;
  /** The server's clock, milliseconds. */
  readonly now: number;
}

export interface PunchGo {
  readonly attemptId: string;
  readonly delayMs: number;
  readonly targets: readonly Endpoint[];
  readonly predict?: { readonly base: number; readonly delta: number; readonly window: number };
  readonly spray?: { readonly sockets: number; readonly probes: number; readonly pps: number };
}

export interface RelayCredentials {
  readonly attemptId: string;
  readonly iceServers: readonly {
    readonly urls: readonly string[];
    readonly username: string;
    readonly credential: string;
  }[];
}

/** The data of what the server sends, by type. Those of peers carry `from`. */
export interface ServerData {
  readonly welcome: Welcome;
  readonly hello: HelloResponse;
  readonly ack: Empty;
  readonly pong: Empty;
  readonly goaway: { readonly graceMs: number };
  readonly error: ErrorReport;
  readonly "room.join": RoomJoined;
  readonly "room.leave": Empty;
  readonly "room.event": RoomEvent | RoomMessage;
  readonly "presence.state": PresenceState;
  readonly "presence.update": PresenceUpdate;
  readonly "connect.request": ConnectRequest;
  readonly "connect.plan": ConnectPlan;
  readonly "reverse.dial": ReverseDial;
  readonly "punch.sync": PunchSync;
  readonly "punch.go": PunchGo;
  readonly "relay.credentials": RelayCredentials;
  readonly "ice.desc": IceDescription;
  readonly "ice.candidate": IceCandidate;
  readonly "ice.restart": IceRestart;
  readonly "path.update": PathUpdate;
  readonly "attempt.result": AttemptResult;
}

export type ServerType = keyof ServerData;

/** `control` messages have `seq` 0 and are not repeated; `sequenced` ones are, until they are acknowledged. */
export const SERVER_MESSAGES: { readonly [Type in ServerType]: "control" | "sequenced" } = {
  welcome: "control",
  hello: "control",
  ack: "control",
  pong: "control",
  goaway: "control",
  // An error that closes the connection is control.
  error: "sequenced",
  "room.join": "sequenced",
  "room.leave": "sequenced",
  "room.event": "sequenced",
  "presence.state": "sequenced",
  "presence.update": "sequenced",
  "connect.request": "sequenced",
  "connect.plan": "sequenced",
  "reverse.dial": "sequenced",
  "punch.sync": "sequenced",
  "punch.go": "sequenced",
  "relay.credentials": "sequenced",
  "ice.desc": "sequenced",
  "ice.candidate": "sequenced",
  "ice.restart": "sequenced",
  "path.update": "sequenced",
  "attempt.result": "sequenced",
};

export function isServerType(type: string): type is ServerType {
  return Object.hasOwn(SERVER_MESSAGES, type);
}
