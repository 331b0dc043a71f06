import type { AddressFamily } from "@culvert/stun";
import type { KnownCredential, RejectedCredential } from "./authenticator.ts";
import type {
  ClientTransport,
  ClientTuple,
  DataPlaneCommand,
  IcmpError,
  Millis,
  PeerAddress,
  RelayedAddress,
  RelayId,
} from "./io.ts";

/** Something that another process must decide. Answered by `handleAnswer` with the same id, before `deadline`. */
export interface Ask {
  readonly type: "ask";
  readonly id: number;
  readonly question: Question;
  /** The server gives up then; a later answer does nothing. */
  readonly deadline: Millis;
}

export type Question =
  /** The passwords of a user that the authenticator said "ask" for. */
  | {
      readonly kind: "credential";
      readonly realm: string;
      readonly username?: string;
      readonly userHash?: Uint8Array;
    }
  /**
   * May the user hold one more allocation? A grant is given back with the event `allocation-deleted`, or with
   * `quota-unused` when the allocation came to nothing.
   */
  | { readonly kind: "quota"; readonly tenant: string; readonly user: string; readonly client: ClientTuple };

export type Answer =
  | KnownCredential
  | RejectedCredential
  | { readonly kind: "granted" }
  /** Answered to the client with 486 (Allocation Quota Reached). */
  | { readonly kind: "refused" }
  /** The other process could not decide; as good as no answer. */
  | { readonly kind: "unavailable" };

/** Who owns an allocation. */
export interface Owner {
  readonly tenant: string;
  readonly user: string;
  readonly kid?: string | undefined;
}

export type DeletionReason =
  /** Refresh with LIFETIME 0. */
  | "refresh"
  /** The lifetime ran out. */
  | "expired"
  /** The client's stream ended. */
  | "client-closed"
  /** The credential was revoked. */
  | "revoked"
  /** An operator ended it. */
  | "terminated";

/** Why something that came in had no effect and no answer. Each is a counter. */
export const TURN_DROP_REASONS = [
  "malformed",
  "fingerprint",
  "unknown-method",
  "unexpected-class",
  "unknown-attribute",
  "unknown-listener",
  "legacy",
  "rate-limited",
  "retransmission",
  "pending-full",
  "ask-timeout",
  "no-allocation",
  "no-permission",
  "no-channel",
  "forbidden-peer",
  "unknown-relay",
  "bandwidth",
] as const;
export type TurnDropReason = (typeof TURN_DROP_REASONS)[number];

/** Why a request was not authenticated. Each is a counter. */
export const AUTH_FAILURES = [
  "no-integrity",
  "incomplete",
  "bid-down",
  "stale-nonce",
  "wrong-realm",
  "rejected",
  "wrong-password",
  "client-address",
  "other-user",
] as const;
export type AuthFailure = (typeof AUTH_FAILURES)[number];

/** Something to count or to log. */
export type TurnEvent =
  | (EventBase<"allocation-created"> & Owner & AllocationSubject & { readonly lifetimeSeconds: number })
  | (EventBase<"allocation-refreshed"> & Owner & AllocationSubject & { readonly lifetimeSeconds: number })
  /** Of an allocation with two relayed addresses, one is gone. */
  | (EventBase<"relay-deleted"> &
      Owner & { readonly allocation: number; readonly relay: RelayId; readonly family: AddressFamily })
  | (EventBase<"allocation-deleted"> & Owner & AllocationSubject & { readonly reason: DeletionReason })
  | (EventBase<"permission-created"> &
      Owner & { readonly allocation: number; readonly relay: RelayId; readonly ip: string })
  | (EventBase<"channel-created"> &
      Owner & {
        readonly allocation: number;
        readonly relay: RelayId;
        readonly channel: number;
        readonly peer: PeerAddress;
      })
  /** A peer that the policy forbids. `rule` names the range or the reason. */
  | (EventBase<"peer-denied"> & Owner & { readonly method: number; readonly ip: string; readonly rule: string })
  /** The policy changed and cut a live permission. */
  | (EventBase<"permission-revoked"> &
      Owner & { readonly allocation: number; readonly relay: RelayId; readonly ip: string })
  | (EventBase<"auth-failed"> & {
      readonly code: number;
      readonly reason: AuthFailure;
      /** What the authenticator said, where `reason` is "rejected". */
      readonly detail?: string;
      readonly tenant?: string;
      readonly client: ClientTuple;
    })
  /** A request was answered. `code` is the error code; absent for a success response. */
  | (EventBase<"request"> & {
      readonly method: number;
      readonly transport: ClientTransport;
      readonly code?: number | undefined;
      readonly tenant?: string | undefined;
    })
  | (EventBase<"dropped"> & { readonly reason: TurnDropReason })
  | (EventBase<"quota-unused"> & { readonly tenant: string; readonly user: string; readonly client: ClientTuple })
  | (EventBase<"bind-failed"> & { readonly relay: RelayId; readonly reason: string })
  | (EventBase<"peer-error"> & { readonly relay: RelayId; readonly peer: PeerAddress; readonly icmp: IcmpError });

export type TurnEventName = TurnEvent["name"];

interface EventBase<Name extends string> {
  readonly type: "event";
  readonly name: Name;
}

interface AllocationSubject {
  /** Names the allocation in this server. */
  readonly allocation: number;
  readonly client: ClientTuple;
  readonly transport: ClientTransport;
  readonly relayed: readonly RelayedAddress[];
}

/** What the caller has to do: carry out a command, answer a question, count an event. In their order. */
export type Output = DataPlaneCommand | Ask | TurnEvent;
