import { z } from "zod";
import {
  type AttemptResult,
  attemptResult,
  type EndpointsUpdate,
  endpointsUpdate,
  type NatReport,
  natReport,
  type PathUpdate,
  pathUpdate,
} from "./network.ts";
import { attemptId, type Empty, empty, label, type Metadata, metadata, note, userList } from "./parts.ts";

/** Opens a session with a token, or resumes one; with both, the token counts where the session cannot be resumed. */
export interface HelloRequest {
  /** A JWT for the audience of the signaling service. */
  readonly auth?: string;
  /** The latest `resumeToken`. */
  readonly resume?: string;
  /** With `resume`: the highest `seq` received from the server. */
  readonly lastSeq?: number;
}

export interface RoomMessage {
  readonly event: "message";
  readonly body: string;
}

export interface PresenceSet {
  readonly status: string;
  readonly note?: string;
}

export interface PresenceUsers {
  readonly users: readonly string[];
}

export interface ConnectRequest {
  readonly attemptId?: string;
  readonly metadata?: Metadata;
}

/** RTCSessionDescriptionInit. */
export interface IceDescription {
  readonly attemptId?: string;
  readonly description: { readonly type: "offer" | "answer" | "pranswer" | "rollback"; readonly sdp?: string };
}

/** RTCIceCandidateInit; null says that there are no more. */
export interface IceCandidate {
  readonly attemptId?: string;
  readonly candidate: {
    readonly candidate: string;
    readonly sdpMid?: string | null;
    readonly sdpMLineIndex?: number | null;
    readonly usernameFragment?: string | null;
  } | null;
}

export interface IceRestart {
  readonly attemptId?: string;
  readonly reason?: string;
}

/** The data of what a client sends, by type. */
export interface ClientData {
  readonly hello: HelloRequest;
  readonly ack: Empty;
  readonly ping: Empty;
  readonly bye: Empty;
  readonly "endpoints.update": EndpointsUpdate;
  readonly "nat.report": NatReport;
  readonly "room.join": Empty;
  readonly "room.leave": Empty;
  readonly "room.event": RoomMessage;
  readonly "presence.set": PresenceSet;
  readonly "presence.get": PresenceUsers;
  readonly "presence.watch": PresenceUsers;
  readonly "presence.unwatch": PresenceUsers;
  readonly "connect.request": ConnectRequest;
  readonly "ice.desc": IceDescription;
  readonly "ice.candidate": IceCandidate;
  readonly "ice.restart": IceRestart;
  readonly "path.update": PathUpdate;
  readonly "attempt.result": AttemptResult;
}

export type ClientType = keyof ClientData;

/**
 * Where a message goes: `session` concerns the connection itself and has `seq` 0; `server` ends here; `room` ends here
 * and needs `room`; `peer` needs `to`; `peer-optional` ends here and is passed on when it has `to`.
 */
export type Route = "session" | "server" | "room" | "peer" | "peer-optional";

export interface ClientMessageKind<Data> {
  readonly route: Route;
  /** What it takes from the message rate. */
  readonly cost: number;
  readonly data: z.ZodType<Data>;
}

const optionalAttempt = z.exactOptional(attemptId);

const kind = <Data>(route: Route, data: z.ZodType<Data>, cost = 1): ClientMessageKind<Data> => ({ route, cost, data });

/** Every type that a client may send. */
export const CLIENT_MESSAGES: { readonly [Type in ClientType]: ClientMessageKind<ClientData[Type]> } = {
  hello: kind(
    "session",
    z
      .strictObject({
        auth: z.exactOptional(z.string().min(1).max(8192)),
        resume: z.exactOptional(z.string().min(1).max(1024)),
        lastSeq: z.exactOptional(z.int().min(0)),
      })
      .refine((hello) => hello.auth !== undefined || hello.resume !== undefined, "auth or resume is needed")
      .refine(
        (hello) => (hello.resume === undefined) === (hello.lastSeq === undefined),
        "resume and lastSeq go together",
      ),
  ),
  ack: kind("session", empty, 0.2),
  ping: kind("session", empty, 0.5),
  bye: kind("session", empty),
  "endpoints.update": kind("server", endpointsUpdate),
  "nat.report": kind("server", natReport),
  "room.join": kind("room", empty),
  "room.leave": kind("room", empty),
  "room.event": kind("room", z.strictObject({ event: z.literal("message"), body: z.string().max(16 * 1024) })),
  "presence.set": kind("server", z.strictObject({ status: label(32), note: z.exactOptional(note(128)) })),
  "presence.get": kind("server", z.strictObject({ users: userList })),
  "presence.watch": kind("server", z.strictObject({ users: userList })),
  "presence.unwatch": kind("server", z.strictObject({ users: userList })),
  "connect.request": kind("peer", z.strictObject({ attemptId: optionalAttempt, metadata: z.exactOptional(metadata) })),
  "ice.desc": kind(
    "peer",
    z.strictObject({
      attemptId: optionalAttempt,
      description: z.strictObject({
        type: z.enum(["offer", "answer", "pranswer", "rollback"]),
        sdp: z.exactOptional(z.string().max(60 * 1024)),
      }),
    }),
  ),
  "ice.candidate": kind(
    "peer",
    z.strictObject({
      attemptId: optionalAttempt,
      candidate: z.nullable(
        z.strictObject({
          candidate: z.string().max(1024),
          sdpMid: z.exactOptional(z.nullable(z.string().max(64))),
          sdpMLineIndex: z.exactOptional(z.nullable(z.int().min(0).max(65535))),
          usernameFragment: z.exactOptional(z.nullable(z.string().max(256))),
        }),
      ),
    }),
  ),
  "ice.restart": kind("peer", z.strictObject({ attemptId: optionalAttempt, reason: z.exactOptional(label(128)) })),
  "path.update": kind("peer-optional", pathUpdate),
  "attempt.result": kind("peer-optional", attemptResult),
};

export function isClientType(type: string): type is ClientType {
  return Object.hasOwn(CLIENT_MESSAGES, type);
}
