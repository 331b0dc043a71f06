import type { TransportAddress } from "@culvert/stun";
import type { SlotName } from "./slots.ts";

/**
 * Milliseconds since the Unix epoch. Deadlines are on the relay's own clock, which never steps back; what other relays
 * read is in fleet time, which is the store's.
 */
export type Millis = number;

/** Who a relay is. */
export interface RelayIdentity {
  /** Survives restarts. */
  readonly identity: string;
  /** Another one with each process. */
  readonly instance: string;
  /** Whose kernel makes ports exclusive. */
  readonly host: string;
}

export interface Lease {
  readonly slot: SlotName;
  /** Grows with each owner: fences what an earlier one writes. */
  readonly epoch: number;
}

/** A streak of renewals that the store answered in time, in fleet time. */
export interface Contact {
  /** When the first was answered. */
  readonly since: Millis;
  /** When the last that was answered had been sent. */
  readonly until: Millis;
}

/** What a relay tells the others through the store, as far as this library reads it. */
export interface PeerEntry extends Pick<RelayIdentity, "identity" | "instance"> {
  /** Fleet time at which this entry was sent. */
  readonly sentAt: Millis;
  /** The last one is the current streak, if the entry was written in one. */
  readonly contact: readonly Contact[];
  readonly turn: readonly TransportAddress[];
  readonly load: RelayLoad;
}

export interface RelayLoad {
  readonly allocations: number;
  /** How many it can hold. */
  readonly capacity: number;
  readonly draining: boolean;
}

/** A slot as the store has it. */
export interface SlotView extends RelayIdentity {
  readonly slot: SlotName;
  readonly epoch: number;
  /** 0 or less: the lease ended so long ago. */
  readonly expiresInMs: number;
  /** The owner gave it up: to a relay, or to anybody (""). */
  readonly releasedTo?: string;
}

/** What relays tell each other directly, twice a second. */
export interface Heartbeat extends Pick<RelayIdentity, "identity" | "instance"> {
  /** Fleet time at which it was sent. */
  readonly sentAt: Millis;
  /** Whether the sender's last renewal was answered. */
  readonly reachesStore: boolean;
  /** The sender ends and renews nothing any more. */
  readonly leaving: boolean;
}
