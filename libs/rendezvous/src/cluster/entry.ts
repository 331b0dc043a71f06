/** What every replica knows of a session. Its owner alone changes it. */
export interface SessionEntry {
  readonly id: string;
  readonly tenant: string;
  readonly user: string;
  readonly epoch: number;
  /** False while the session waits to be resumed. */
  readonly connected: boolean;
  readonly status: string;
  readonly note?: string;
  readonly rooms: readonly string[];
}

/** Why a session is no more. */
export type EndReason =
  | "bye"
  | "expired"
  | "evicted"
  | "slow_consumer"
  | "auth_expired"
  | "auth_revoked"
  | "refused"
  | "goaway"
  | "lost";
