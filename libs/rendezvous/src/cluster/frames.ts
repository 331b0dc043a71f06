import { z } from "zod";
import { parseJson } from "../json.ts";
import { label, note, user } from "../messages/parts.ts";
import type { EndReason, SessionEntry } from "./entry.ts";

/** What one replica tells another, in order and exactly once as long as both live. */
export type ClusterOp =
  /** All entries of the sender follow, up to `synced`. */
  | { readonly op: "reset" }
  | { readonly op: "synced" }
  | { readonly op: "put"; readonly entry: SessionEntry }
  | { readonly op: "del"; readonly id: string; readonly reason: EndReason }
  | { readonly op: "moved"; readonly id: string; readonly owner: string }
  /** Queue `body` for a session of the receiver; answered by `result`. */
  | { readonly op: "deliver"; readonly n: number; readonly id: string; readonly body: string }
  | { readonly op: "result"; readonly n: number; readonly outcome: DeliveryOutcome }
  /** Hand a session over: its client has come to the sender. Answered by `claimed`. */
  | {
      readonly op: "claim";
      readonly n: number;
      readonly id: string;
      readonly epoch: number;
      readonly lastSeq: number;
      readonly trusted: boolean;
    }
  | { readonly op: "claimed"; readonly n: number; readonly state?: SessionState; readonly refused?: string }
  | { readonly op: "end"; readonly id: string; readonly reason: EndReason };

/** `moved`: ask its new owner. `gone`: there is no such session. */
export type DeliveryOutcome = "ok" | "moved" | "gone";

/** All that a session is, on its way to another replica. */
export interface SessionState {
  readonly entry: SessionEntry;
  readonly kid: string;
  readonly issuedAt: number;
  readonly authExpiresAt: number;
  readonly received: number;
  readonly acked: number;
  readonly outbox: readonly string[];
  readonly watches: readonly string[];
  /** JSON of the peer's last reports. */
  readonly reports: string;
}

export type ClusterFrame =
  /** To all: the sender is there. */
  | { readonly kind: "beacon"; readonly from: string }
  /** To all: the sender stops, and its sessions with it. */
  | { readonly kind: "leave"; readonly from: string }
  | LinkFrame;

export interface LinkFrame {
  readonly kind: "link";
  readonly from: string;
  /** Counts the fresh starts of the sender's stream. */
  readonly stream: number;
  /** Of the first operation in `ops`; without any, of the next one to come. */
  readonly seq: number;
  readonly ops: readonly ClusterOp[];
  /** The receiver's stream that the sender follows (0: none yet), and how far. */
  readonly peerStream: number;
  readonly ack: number;
}

const replica = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);
const session = z.string().max(64);
const count = z.int().min(0);
const body = z.string().max(128 * 1024);
const reason = z.enum([
  "bye",
  "expired",
  "evicted",
  "slow_consumer",
  "auth_expired",
  "auth_revoked",
  "refused",
  "goaway",
  "lost",
]);

const entry: z.ZodType<SessionEntry> = z.strictObject({
  id: session,
  tenant: label(64),
  user,
  epoch: count,
  connected: z.boolean(),
  status: label(32),
  note: z.exactOptional(note(128)),
  rooms: z.array(label(128)).max(1024),
});

const state: z.ZodType<SessionState> = z.strictObject({
  entry,
  kid: z.string().max(128),
  issuedAt: z.number(),
  authExpiresAt: z.number(),
  received: count,
  acked: count,
  outbox: z.array(body),
  watches: z.array(user),
  reports: z.string().max(128 * 1024),
});

const op: z.ZodType<ClusterOp> = z.discriminatedUnion("op", [
  z.strictObject({ op: z.literal("reset") }),
  z.strictObject({ op: z.literal("synced") }),
  z.strictObject({ op: z.literal("put"), entry }),
  z.strictObject({ op: z.literal("del"), id: session, reason }),
  z.strictObject({ op: z.literal("moved"), id: session, owner: replica }),
  z.strictObject({ op: z.literal("deliver"), n: count, id: session, body }),
  z.strictObject({ op: z.literal("result"), n: count, outcome: z.enum(["ok", "moved", "gone"]) }),
  z.strictObject({
    op: z.literal("claim"),
    n: count,
    id: session,
    epoch: count,
    lastSeq: count,
    trusted: z.boolean(),
  }),
  z.strictObject({
    op: z.literal("claimed"),
    n: count,
    state: z.exactOptional(state),
    refused: z.exactOptional(z.string().max(64)),
  }),
  z.strictObject({ op: z.literal("end"), id: session, reason }),
]);

const frame: z.ZodType<ClusterFrame> = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("beacon"), from: replica }),
  z.strictObject({ kind: z.literal("leave"), from: replica }),
  z.strictObject({
    kind: z.literal("link"),
    from: replica,
    stream: z.int().min(1),
    seq: z.int().min(1),
    ops: z.array(op).max(4096),
    peerStream: count,
    ack: count,
  }),
]);

/** Reads what came over the bus; undefined if it is not of this protocol. */
export function parseClusterFrame(text: string): ClusterFrame | undefined {
  const json = parseJson(text, 16);
  if (!json.ok) return undefined;
  const parsed = frame.safeParse(json.value);
  return parsed.success ? parsed.data : undefined;
}
