import type { LeaseTimes } from "./lease-times.ts";
import type { SlotName } from "./slots.ts";
import type { Contact, Lease, Millis, RelayIdentity } from "./types.ts";

/** The number of a held slot's lease in the data plane: another one each time that a slot is taken. */
export type LeaseNumber = number;

export interface SlotKeeperConfig extends RelayIdentity {
  readonly times: LeaseTimes;
  /** "address": slots of other relays are taken where their address is on this host. */
  readonly failover: "identity" | "address";
  /** The most slots to take that nobody's allocations live in. Default: all of its own. */
  readonly maxSlots?: number;
}

/** Which slots may be held here. Changes with the addresses of the host. */
export interface Reach {
  /** Of the relay's own addresses and ports. */
  readonly own: readonly SlotName[];
  /** Relayed addresses that are on this host now. */
  readonly ips: ReadonlySet<string>;
}

export interface PreviousOwner {
  readonly identity: string;
  readonly instance: string;
  /** It gave the slot up, after its last write. Otherwise its last writes may be missing. */
  readonly released: boolean;
}

export type KeeperOutput =
  /** Renew all leases with one question. Answered by `handleRenewed` or `handleRenewFailed`. */
  | {
      readonly type: "renew";
      readonly id: number;
      readonly leases: readonly Lease[];
      readonly contact: readonly Contact[];
      readonly sentAt: Millis;
    }
  /** Ask for the relays that live, and for all slots where `slots` is set. Answered by `handleView` or not at all. */
  | { readonly type: "view"; readonly sentAt: Millis; readonly slots: boolean }
  /** Answered by `handleAcquired`. */
  | {
      readonly type: "acquire";
      readonly slot: SlotName;
      readonly rule: "same-identity" | "expired";
      readonly sentAt: Millis;
    }
  | { readonly type: "release"; readonly lease: Lease; readonly to?: string }
  /** Nothing is relayed for the lease past this time, on the own clock. */
  | { readonly type: "deadline"; readonly lease: LeaseNumber; readonly slot: SlotName; readonly deadline: Millis }
  | {
      readonly type: "gained";
      readonly slot: SlotName;
      readonly lease: LeaseNumber;
      readonly epoch: number;
      readonly deadline: Millis;
      /** Who had it before, if that is known. */
      readonly previous?: PreviousOwner;
    }
  /** Another one has the slot, or it was given up. */
  | {
      readonly type: "lost";
      readonly slot: SlotName;
      readonly lease: LeaseNumber;
      readonly reason: "taken" | "released";
    }
  /** The slot's address is on this host no more: to be given up with `release`, so that another relay may take it. */
  | { readonly type: "displaced"; readonly slot: SlotName }
  /** Nothing is relayed for the slot until it is held again: nothing is lost yet. */
  | { readonly type: "lapsed"; readonly slot: SlotName }
  | { readonly type: "resumed"; readonly slot: SlotName }
  /** The store was empty of what this relay holds, or holds it under a new epoch: everything is to be written again. */
  | { readonly type: "republish"; readonly slots: readonly SlotName[] }
  /** What others are to hear at once. */
  | { readonly type: "beat"; readonly reachesStore: boolean };

export type AcquireOutcome =
  | {
      readonly ok: true;
      readonly lease: Lease;
      readonly previous?: PreviousOwner;
    }
  /** Another one has it; or, without a holder, the store wants owners to assert themselves first. */
  | { readonly ok: false; readonly holder?: object; readonly expiresInMs: number }
  /** The store did not answer. */
  | { readonly ok: "unknown" };

export interface RenewOutcome {
  readonly lost: readonly SlotName[];
  readonly reasserted: readonly SlotName[];
  /** Another one than before: the store may have lost what was written. */
  readonly generation: string;
}
