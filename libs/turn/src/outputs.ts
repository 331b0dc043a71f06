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
import type { AllocationSnapshot } from "./snapshot.ts";

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
   * May there be this allocation? Its sockets are open, its client waits. What was granted ends with the event
   * `allocation-deleted`. Where the attempt comes to nothing after it was asked about, `admission-unused` says so: the
   * answer may still be on its way then.
   */
  | { readonly kind: "admit"; readonly allocation: AllocationSnapshot };

export type Answer =
  | KnownCredential
  | RejectedCredential
  | { readonly kind: "granted" }
  /** Over the quota. Answered to the client with 486 (Allocation Quota Reached). */
  | { readonly kind: "refused" }
  /** The 5-tuple has an allocation at another server, to which the request is forwarded. Nothing is answered from here. */
  | { readonly kind: "elsewhere" }
  /** The ports are not this server's, any more. Answered to the client like a server without free ports. */
  | { readonly kind: "stale" }
  /** The other process could not decide; as good as no answer. What an admission becomes then, `Admission` says. */
  | { readonly kind: "unavailable" };

/** An allocation is not as `snapshot` told it last. Not put out again before `snapshot` has told it again. */
export interface Changed {
  readonly type: "changed";
  readonly allocation: number;
}

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
  | "terminated"
  /** The lease on its ports is lost. It may live on at another server. */
  | "fenced"
  /** Its ports were handed over to another server, where it lives on. */
  | "handed-over";

/** Why an allocation could not be restored. Its record is as good as before, unless it is over. */
export const RESTORE_FAILURES = [
  /** Written by another version, or no snapshot at all. */
  "malformed",
  "unknown-listener",
  /** All of its relayed addresses are over. */
  "expired",
  /** The credential was revoked. */
  "revoked",
  "quota",
  /** The allocation is here already, or is being restored. */
  "exists",
  /** Another allocation has its 5-tuple. */
  "tuple-taken",
  /** Its ports are in no slot that this server holds. */
  "no-slot",
  /** Another allocation has its port. */
  "port-taken",
  /** The socket could not be bound, for as long as it was tried. */
  "bind-failed",
  /** The client's stream ended with the process that had it, and the client has no ticket to come back with. */
  "stream-gone",
  /** The slot was lost, or the client went away, while the sockets were being bound. */
  "cancelled",
] as const;
export type RestoreFailure = (typeof RESTORE_FAILURES)[number];

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
  "restoring",
  "elsewhere",
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
  /** The client is at another 5-tuple now (RFC 8016), and its data goes there. */
  | (EventBase<"allocation-moved"> & Owner & AllocationSubject & { readonly from: ClientTuple })
  /** In place of `allocation-created` where the allocation was made by another process. */
  | (EventBase<"allocation-restored"> & Owner & AllocationSubject)
  /** `record` is empty where not even that could be read. */
  | (EventBase<"restore-failed"> & { readonly record: string; readonly reason: RestoreFailure })
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
      /** Whether the code asks the client to authenticate, as it does once: 401 without MESSAGE-INTEGRITY, 438. */
      readonly challenge?: boolean;
      /** When the request came in. Absent where requests do not wait. */
      readonly receivedAt?: Millis;
      readonly tenant?: string | undefined;
    })
  | (EventBase<"dropped"> & { readonly reason: TurnDropReason })
  /** An admission that was asked for came to nothing. If it was granted, or is yet, it is to be taken back. */
  | (EventBase<"admission-unused"> & { readonly record: string; readonly tenant: string; readonly user: string })
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
  /** Names the allocation in the fleet, over restarts and moves. */
  readonly record: string;
  /** The slot of its first relayed address, where ports come in slots. */
  readonly slot?: string | undefined;
  readonly client: ClientTuple;
  readonly transport: ClientTransport;
  readonly relayed: readonly RelayedAddress[];
}

/** What the caller has to do: carry out a command, answer a question, note a change, count an event. In their order. */
export type Output = DataPlaneCommand | Ask | Changed | TurnEvent;
