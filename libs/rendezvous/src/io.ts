import type { Limits } from "./limits.ts";
import type { RandomSource } from "./random.ts";
import type { ResumeSigner } from "./resume-token.ts";

/** A WebSocket connection, as its service numbers it. */
export type ConnectionId = number;

/** Milliseconds since the Unix epoch; never goes back. */
export type Millis = number;

/** Whom a verified token stands for. */
export interface Principal {
  readonly tenant: string;
  readonly user: string;
  /** The key that signed it. */
  readonly kid: string;
  /** When it was issued, if it says. */
  readonly issuedAt?: Millis;
  readonly expiresAt: Millis;
}

export type VerifyResult =
  | { readonly ok: true; readonly principal: Principal }
  /** `reason` is for counters and logs: the client is told no more than `unauthenticated`. */
  | { readonly ok: false; readonly reason: string };

export type HubOutput =
  | { readonly kind: "send"; readonly connection: ConnectionId; readonly text: string }
  /** Close once all sent before is out. The service reports no `handleClosed` is needed for it, but may. */
  | { readonly kind: "close"; readonly connection: ConnectionId; readonly code: number; readonly reason: string }
  /** Answer with `handleVerified`. */
  | { readonly kind: "verify"; readonly id: number; readonly token: string }
  /** To one replica, or to all others. */
  | { readonly kind: "bus"; readonly to: string | "*"; readonly text: string }
  | { readonly kind: "event"; readonly event: HubEvent };

/** What happened, for counters and logs. Labels are from closed sets, except where they are names. */
export type HubEvent =
  | { readonly name: "message"; readonly direction: "in" | "out"; readonly type: string }
  | { readonly name: "refused"; readonly reason: string; readonly connection?: ConnectionId }
  | { readonly name: "resume"; readonly outcome: string }
  | {
      readonly name: "session";
      readonly change: "opened" | "resumed" | "suspended" | "ended";
      readonly session: string;
      readonly tenant: string;
      readonly user: string;
      readonly reason?: string;
    }
  | { readonly name: "outbox-overflow" }
  | { readonly name: "replica"; readonly change: "found" | "lost" | "left"; readonly replica: string }
  | { readonly name: "attempt"; readonly ok: boolean; readonly ms: number };

export interface HubConfig {
  /** Names this process among the replicas: new with every start. */
  readonly replica: string;
  readonly limits: Limits;
  /** Milliseconds between two signs of life, and without one after which a replica counts as lost. */
  readonly beaconMs: number;
  readonly replicaTimeoutMs: number;
  /** Milliseconds after which unacknowledged frames go out again. */
  readonly retransmitMs: number;
}

export interface HubPorts {
  readonly random: RandomSource;
  readonly signer: ResumeSigner;
}
