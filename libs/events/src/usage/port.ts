import type { UsageEvent } from "./event.ts";

export interface UsageLogStats {
  /** Taken over, and not stored yet. */
  readonly waiting: number;
  /** Stored since the log was opened; those that were there already included. */
  readonly stored: number;
  /** Lost since the log was opened: there were more waiting than the log may hold. */
  readonly dropped: number;
  /** Whether events can be stored now, as far as is known. */
  readonly up: boolean;
  /** Why not, in a few words. */
  readonly reason?: string;
}

export interface FollowOptions {
  /** Followers of one name share the events; each name gets all. `[A-Za-z0-9_-]{1,64}`. */
  readonly name: string;
  /** Only the events of one tenant. Followers of one name must agree on it. */
  readonly tenant?: string;
}

/**
 * Called for one event after the other. The event counts as handled when the promise resolves; when it rejects, or when the
 * process ends before, the event comes again, to this follower or to another of its name.
 */
export type UsageHandler = (event: UsageEvent) => void | Promise<void>;

export interface UsageFollower {
  /** Resolves once no handler runs any more. Idempotent. */
  close(): Promise<void>;
}

/**
 * The durable log of what allocations use. Each event is stored once; it is handed to each name of followers at least once,
 * in the order in which it was stored.
 */
export interface UsageLog {
  /**
   * Takes the event over and returns at once. It is kept in memory until it is stored, at most as many as the log may hold:
   * beyond, the oldest interim makes room, since a later event says all that it did.
   */
  append(event: UsageEvent): void;

  /** Resolves with true once all that was appended is stored, with false when that has not happened in `timeoutMs`. */
  flush(timeoutMs: number): Promise<boolean>;

  /** All events from the oldest that is kept, for a new name; from where its followers were, for a known one. */
  follow(options: FollowOptions, handler: UsageHandler): Promise<UsageFollower>;

  stats(): UsageLogStats;

  /** Calls `listener` with what handlers reject with, and with what in the log is no event of this version. */
  onError(listener: (error: unknown) => void): () => void;

  /** Ends followers. What waits is lost; see {@link flush}. Idempotent. */
  close(): Promise<void>;
}
