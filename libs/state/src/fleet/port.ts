import type { AddressFamily, TransportAddress } from "@culvert/stun";
import type { StoreUnavailable } from "../store-unavailable.ts";

/** Milliseconds since the Unix epoch by the store's own clock (Redis TIME), which all relays of a fleet share. */
export type FleetTime = number;

/** Who wants a slot. */
export interface LeaseClaim {
  /** `<relayed IP>/<first port>-<last port>`. */
  readonly slot: string;
  /** Name of the relay; survives its restarts. */
  readonly identity: string;
  /** New with each process. */
  readonly instance: string;
  /** Where the kernel makes ports exclusive: boot id and network namespace. */
  readonly host: string;
}

/** A slot that is held. */
export interface Lease {
  readonly slot: string;
  /** Fencing token, below 2^53: each owner of a slot has a greater one than the owner before. */
  readonly epoch: number;
}

/** A lease to renew. */
export interface Renewal extends Lease {
  /** Its deadline has passed meanwhile: it is renewed when it is still there, but not asserted anew when it is gone. */
  readonly lapsed?: boolean;
}

/**
 * By which right a slot is asked for. Neither gives a slot to another host while its owner may still relay: both give what
 * has expired, what nobody had, and what was released to this identity or to anyone. `same-identity` also gives what the
 * same identity has on the same host, at once: there the kernel lets one process have a port.
 */
export type AcquireRule = "same-identity" | "expired";

export type AcquireResult =
  | {
      readonly ok: true;
      readonly lease: Lease;
      /** The owner before. Absent: nobody is known to have been one. */
      readonly previous?: PreviousOwner;
    }
  | {
      readonly ok: false;
      /** Absent: the slot is free, but what is stored may be new (an empty or failed-over store): owners assert first. */
      readonly holder?: Omit<LeaseClaim, "slot"> & { readonly epoch: number };
      /** Milliseconds until it is to be had, if nobody renews it. */
      readonly expiresInMs: number;
    };

export interface PreviousOwner {
  readonly identity: string;
  readonly instance: string;
  /** It gave the slot up, after its last write. Otherwise its last writes may be missing. */
  readonly released: boolean;
}

export interface SlotState extends LeaseClaim {
  readonly epoch: number;
  /** 0 or less: it expired so long ago, or was released. */
  readonly expiresInMs: number;
  /** Who may take it at once; empty text: anyone. Absent: it was not released. */
  readonly releasedTo?: string;
}

/** A relay as the others of the fleet see it. */
export interface RelayEntry {
  readonly identity: string;
  readonly instance: string;
  readonly host: string;
  /** Where it takes mesh datagrams. */
  readonly mesh?: TransportAddress;
  /** What clients are told in ALTERNATE-SERVER. */
  readonly turn: readonly TransportAddress[];
  readonly load: RelayLoad;
  /** Where relayed addresses move: those that its host has, and on which it would go on with slots. */
  readonly reach?: readonly string[];
  /** Authority (`host:port`) of its gRPC service. */
  readonly admin?: string;
  readonly startedAt: FleetTime;
  /** When this entry was sent. */
  readonly sentAt: FleetTime;
  /** When the relay was in contact with the store: streaks of renewals, the last one the current. */
  readonly contact: readonly { readonly since: FleetTime; readonly until: FleetTime }[];
}

export interface RelayLoad {
  readonly allocations: number;
  /** Allocations that it can have in all. */
  readonly capacity: number;
  readonly draining: boolean;
}

export interface RenewResult {
  readonly now: FleetTime;
  /** Slots that belong to another owner by now, or were released, or were gone after the lease had lapsed. */
  readonly lost: readonly string[];
  /** Slots whose leases were gone and are there again with the given epoch. */
  readonly reasserted: readonly string[];
  /**
   * Changes whenever what was written before may be lost: the store was emptied, started anew or failed over. The caller
   * then writes all of its records again.
   */
  readonly generation: string;
}

/** Credential's claims that the relay applies. */
export interface RecordClaims {
  readonly peerCidrs?: readonly string[];
  readonly maxBps?: number;
  readonly maxAllocations?: number;
  readonly clientIp?: string;
}

export interface RecordPermission {
  readonly ip: string;
  readonly expiresAt: FleetTime;
}

/** RFC 8656 section 12. */
export interface RecordChannel {
  readonly number: number;
  readonly peer: TransportAddress;
  readonly expiresAt: FleetTime;
}

/** A relayed address of an allocation. */
export interface RecordRelay {
  readonly family: AddressFamily;
  /** The socket's own address. */
  readonly local: TransportAddress;
  /** What clients and peers see. */
  readonly relayed: TransportAddress;
  readonly expiresAt: FleetTime;
  /** Milliseconds that the client was granted last. Absent in records of programs that did not tell. */
  readonly lifetimeMs?: number;
  /** When that ends, where it is not `expiresAt`. */
  readonly grantedUntil?: FleetTime;
  readonly permissions: readonly RecordPermission[];
  readonly channels: readonly RecordChannel[];
}

/** A port that EVEN-PORT with R reserved (RFC 8656 section 7.2). */
export interface RecordReservation {
  /** RESERVATION-TOKEN, base64url. */
  readonly token: string;
  readonly local: TransportAddress;
  readonly relayed: TransportAddress;
  readonly expiresAt: FleetTime;
}

export interface RecordCounters {
  readonly packetsToPeers: number;
  readonly bytesToPeers: number;
  readonly packetsToClient: number;
  readonly bytesToClient: number;
}

/** All that another process needs to go on with an allocation, but no secret. */
export interface AllocationRecord {
  /** Random; 16 characters of base64url. */
  readonly id: string;
  /** Slot of the first relayed address. Its epoch guards the record. */
  readonly slot: string;
  /** Slots of all relayed addresses, in their order. */
  readonly slots: readonly string[];
  /** `<transport> <frontend> <client IP>:<client port>`. */
  readonly tuple: string;
  readonly transport: "udp" | "tcp" | "tls" | "dtls";
  /** Bound address of the listener. */
  readonly listener: TransportAddress;
  readonly frontend: string;
  readonly remote: TransportAddress;
  readonly tenant: string;
  /** Whom quotas mean. */
  readonly user: string;
  /** USERNAME, as the client sends it. */
  readonly username: string;
  readonly kid?: string;
  readonly claims: RecordClaims;
  readonly createdAt: FleetTime;
  /** Transaction id of the Allocate request, base64url. */
  readonly transaction?: string;
  /** How often the client has moved (RFC 8016): the number of the ticket that is valid now. */
  readonly ticketNumber?: number;
  /** Where the client has said it is, but has not sent from yet. */
  readonly movingTo?: TransportAddress;
  readonly relays: readonly RecordRelay[];
  readonly reservations?: readonly RecordReservation[];
  readonly counters: RecordCounters;
}

/** Whose an allocation is. */
export interface RecordOwner {
  readonly id: string;
  readonly slot: string;
  /** The relay that has the slot, or had it last. */
  readonly identity: string;
}

/**
 * Allocations at once; absent: no limit. A record that is there already does not count anew. A user's allocations on relays
 * whose leases have expired do not count: nothing is relayed for them, and the user has to have new ones.
 */
export interface QuotaLimits {
  readonly perUser?: number;
  readonly perTenant?: number;
}

export type AdmitResult =
  | { readonly kind: "granted" }
  /** As many allocations as allowed are there: 486 (Allocation Quota Reached). */
  | { readonly kind: "refused"; readonly quota: "user" | "tenant" }
  /** Another live relay has an allocation for this tuple. */
  | { readonly kind: "elsewhere"; readonly owner: RecordOwner }
  /** The slot has a newer owner, or was released. */
  | { readonly kind: "stale" }
  /** The lease is gone from the store, with other things perhaps. After a renewal that reasserts it, try again. */
  | { readonly kind: "unleased" };

export type FleetWrite =
  | { readonly kind: "put"; readonly record: AllocationRecord; readonly epoch: number }
  | { readonly kind: "delete"; readonly id: string; readonly slot: string; readonly epoch: number };

/**
 * - `written`: done, or nothing was there to delete.
 * - `stale`: the slot has a newer owner, or was released. The writer no longer owns the allocation.
 * - `unleased`: the lease is gone from the store. After a renewal that reasserts it, write again.
 * - `superseded`: the client has a newer allocation for the tuple, with another relay. This one is to be deleted.
 */
export type WriteResult = "written" | "stale" | "unleased" | "superseded";

/** Conditions that all must hold. */
export interface RecordFilter {
  readonly tenant?: string;
  readonly user?: string;
  /** Relay that has the allocation's slot. */
  readonly identity?: string;
}

export interface ListedRecord {
  readonly record: AllocationRecord;
  /** The relay that has its slot, or had it last. */
  readonly identity: string;
}

export interface RecordPage {
  /** As many as the limit or fewer, even none, while `next` is there. */
  readonly records: readonly ListedRecord[];
  /** To be passed as `after`. Absent: this was the last page. */
  readonly next?: string;
}

export type StoreHealth = { readonly up: true } | { readonly up: false; readonly reason: string };

/** What went by since the start. */
export interface FleetStoreCounters {
  /** Records of a newer schema version that were met, and left alone. */
  readonly newerRecords: number;
  /** Records that could not be read, and were left alone. */
  readonly unreadableRecords: number;
  /** Members of indexes whose records were gone, dropped. */
  readonly droppedMembers: number;
}

/**
 * What makes relays one fleet: who owns which ports, which allocations are where, how many a user has.
 *
 * Every call is one atomic step and one round trip unless said otherwise, may be made by any number of processes at once, and
 * rejects with a {@link StoreUnavailable} when the store does not answer in time. It may have been carried out all the same;
 * every call can be made again.
 *
 * The store itself makes takers wait, so that owners assert their leases first: one lease's time after it was emptied, was
 * started anew or failed over, nobody is given a slot; and when it stood still, was asked by no relay for half that time, or
 * its clock jumped, nobody but the same identity on the same host, and to whom the slot was released.
 */
export interface FleetStore {
  time(): Promise<FleetTime>;

  /** @param ttlMs how long the lease holds without renewal; 100 to 3,600,000 */
  acquire(claim: LeaseClaim, rule: AcquireRule, ttlMs: number): Promise<AcquireResult>;
  /**
   * Renews the leases of a relay, and its entry in the registry for as long. An entry of an instance that started later is
   * not replaced.
   */
  renew(entry: RelayEntry, leases: readonly Renewal[], ttlMs: number): Promise<RenewResult>;
  /**
   * Ends a lease. Writes with its epoch are refused from then on.
   *
   * @param to the identity that may take the slot at once; absent: anyone may. Others may once the lease would have ended.
   */
  release(lease: Lease, instance: string, to?: string): Promise<void>;
  /** Every slot that had an owner in the last seven days, in order of their names. */
  slots(): Promise<readonly SlotState[]>;
  /** Those that renewed within their lease's time, in order of their identities. */
  relays(): Promise<readonly RelayEntry[]>;
  /** Takes the relay off the registry unless another instance has taken its place. */
  unregister(identity: string, instance: string): Promise<void>;

  /**
   * Adds a record and counts it, if the quotas and the tuple allow. An allocation for the same tuple gives way when it
   * is the caller's own, or when its relay's lease has expired.
   */
  admit(record: AllocationRecord, epoch: number, limits: QuotaLimits): Promise<AdmitResult>;
  /** Each write is atomic by itself; the results are in order. One pipeline. A record is there as a whole or not at all. */
  write(writes: readonly FleetWrite[]): Promise<readonly WriteResult[]>;
  /** Pages of the records that a slot guards. Each is one round trip. Records that come meanwhile may be missing. */
  recordsOf(slot: string): AsyncIterable<readonly AllocationRecord[]>;
  get(id: string): Promise<ListedRecord | undefined>;
  byTuple(tuple: string): Promise<RecordOwner | undefined>;
  /**
   * What stays the whole time is listed exactly once, whatever comes and goes. Fast with `tenant` or `identity`; with `user`
   * alone every record is looked at, a page's worth per call.
   *
   * @param page `limit`: 1 to 1000
   */
  list(
    filter: RecordFilter,
    page: { readonly after?: string | undefined; readonly limit: number },
  ): Promise<RecordPage>;

  health(): StoreHealth;
  /** @returns ends it */
  onHealthChange(listener: (health: StoreHealth) => void): () => void;
  counters(): FleetStoreCounters;
  close(): Promise<void>;
}
