import { z } from "zod";
import { PROTOCOL_VERSION, type SignalingErrorCode } from "./codes.ts";
import { parseJson, utf8Length } from "./json.ts";
import type { Limits } from "./limits.ts";
import { CLIENT_MESSAGES, type ClientData, type ClientType, isClientType } from "./messages/client.ts";
import { label } from "./messages/parts.ts";
import { isServerType, type ServerData, type ServerType } from "./messages/server.ts";

/** What surrounds the data of every message. */
export interface Header {
  /** Chosen by the sender; an answer carries the one of the question, a passed-on message that of the sender. */
  readonly id?: string;
  readonly seq: number;
  readonly ack: number;
  readonly to?: string;
  readonly from?: string;
  readonly room?: string;
}

/** A client's message of one type, or of any. */
export type ClientFrame<Type extends ClientType = ClientType> = {
  readonly [Key in Type]: Header & { readonly type: Key; readonly data: ClientData[Key] };
}[Type];

export type FrameResult<Type extends ClientType = ClientType> =
  | { readonly ok: true; readonly frame: ClientFrame<Type> }
  | {
      readonly ok: false;
      readonly code: SignalingErrorCode;
      readonly detail: string;
      /** Present if the envelope was sound: the message counts as received. */
      readonly header?: Header;
    };

const envelope = z.strictObject({
  v: z.number(),
  id: z.exactOptional(label(64)),
  type: label(64),
  seq: z.int().min(0),
  ack: z.int().min(0),
  to: z.exactOptional(label(256)),
  from: z.exactOptional(label(256)),
  room: z.exactOptional(label(128)),
  data: z.unknown(),
});

/** Parses one message of a client. Nothing of an unsound message is used. */
export function parseClientFrame(text: string, limits: Pick<Limits, "messageBytes" | "depth">): FrameResult {
  if (text.length > limits.messageBytes || utf8Length(text) > limits.messageBytes) {
    return { ok: false, code: "too_large", detail: `at most ${limits.messageBytes} bytes` };
  }
  const json = parseJson(text, limits.depth);
  if (!json.ok)
    return { ok: false, code: "bad_message", detail: json.reason === "syntax" ? "not JSON" : "nested too deep" };
  const parsed = envelope.safeParse(json.value);
  if (!parsed.success) return { ok: false, code: "bad_message", detail: describe(parsed.error) };
  const { v, type, data, ...header } = parsed.data;
  if (v !== PROTOCOL_VERSION) return { ok: false, code: "unsupported_version", detail: `v is ${v}` };
  if (!isClientType(type)) {
    const code = isServerType(type) ? "not_allowed" : "unknown_type";
    return { ok: false, code, detail: type, header };
  }
  return parseData(type, data, header);
}

function parseData(type: ClientType, data: unknown, header: Header): FrameResult {
  const { route } = CLIENT_MESSAGES[type];
  const misplaced = (detail: string): FrameResult => ({ ok: false, code: "invalid_data", detail, header });
  if (route === "peer" && header.to === undefined) return misplaced("to: needed by the type");
  if (route === "room" && header.room === undefined) return misplaced("room: needed by the type");
  if (route !== "peer" && route !== "peer-optional" && header.to !== undefined)
    return misplaced("to: not of this type");
  if ((route === "server" || route === "session") && header.room !== undefined)
    return misplaced("room: not of this type");
  if ((route === "session") !== (header.seq === 0)) {
    return { ok: false, code: "bad_sequence", detail: route === "session" ? "seq must be 0" : "seq starts at 1" };
  }
  return parseTyped(type, data, header);
}

function parseTyped<Type extends ClientType>(type: Type, data: unknown, header: Header): FrameResult<Type> {
  const parsed = CLIENT_MESSAGES[type].data.safeParse(data);
  if (!parsed.success) return { ok: false, code: "invalid_data", detail: describe(parsed.error, "data"), header };
  const frame: ClientFrame<Type> = { ...header, type, data: parsed.data };
  return { ok: true, frame };
}

function describe(error: z.ZodError, root = ""): string {
  const issue = error.issues[0];
  const path = [...(root === "" ? [] : [root]), ...(issue?.path ?? []).map(String)].join(".");
  return `${path === "" ? "message" : path}: ${issue?.message ?? "invalid"}`.slice(0, 200);
}

export interface Addressing {
  readonly id?: string | undefined;
  readonly to?: string | undefined;
  readonly from?: string | undefined;
  readonly room?: string | undefined;
}

/** Encodes a message without `v`, `seq` and `ack`, which each recipient has its own of. */
export function encodeBody<Type extends ServerType>(
  type: Type,
  data: ServerData[Type],
  { id, to, from, room }: Addressing = {},
): string {
  return JSON.stringify({ type, id, to, from, room, data }).slice(1);
}

/** Types that go to a peer as they are. */
export type PassedType = ClientType &
  ServerType &
  ("connect.request" | `ice.${string}` | "path.update" | "attempt.result");

/** Encodes what one client sends to another: the same, but for the stamp of the sender. */
export function encodePassed({ type, id, to, room, data }: ClientFrame<PassedType>, from: string): string {
  return JSON.stringify({ type, id, to, from, room, data }).slice(1);
}

/** Completes an encoded body. */
export function completeFrame(seq: number, ack: number, body: string): string {
  return `{"v":${PROTOCOL_VERSION},"seq":${seq},"ack":${ack},${body}`;
}

/** The `type` of an encoded body. */
export function bodyType(body: string): string {
  return /^"type":"([a-z.]+)"/.exec(body)?.[1] ?? "unknown";
}
