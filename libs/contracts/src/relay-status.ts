/** An IP address and a port. */
export interface Endpoint {
  readonly ip: string;
  readonly port: number;
}

/** A relay as its operators see it. Times are in milliseconds since the Unix epoch. */
export interface RelayStatus {
  /** The name that survives restarts. */
  readonly identity: string;
  readonly state: "serving" | "draining";
  readonly startedAt: number;
  readonly allocations: number;
  /** The most allocations that it has room for; 0: not known. */
  readonly capacity: number;
  /** Where clients are sent to reach it. */
  readonly turn: readonly Endpoint[];
  /** Ranges of relayed ports that it owns, `203.0.113.7/49152-49663`. Empty without a fleet. */
  readonly slots: readonly string[];
}

export type ClientTransport = "udp" | "tcp" | "tls" | "dtls";

/** An allocation as its operators see it. Times are in milliseconds since the Unix epoch. */
export interface AllocationStatus {
  /** Unique over all relays and restarts. */
  readonly id: string;
  /** Identity of the relay that owns it. */
  readonly relay: string;
  readonly tenant: string;
  readonly user: string;
  /** USERNAME as the client sends it. */
  readonly username: string;
  /** The signing key of the credential. Absent for static users and static secrets. */
  readonly kid?: string;
  readonly transport: ClientTransport;
  readonly client: Endpoint;
  readonly createdAt: number;
  /** One of each address family at most. */
  readonly relayed: readonly RelayedAddressStatus[];
  readonly traffic: Traffic;
}

export interface RelayedAddressStatus {
  readonly address: Endpoint;
  readonly expiresAt: number;
  readonly permissions: readonly { readonly ip: string; readonly expiresAt: number }[];
  readonly channels: readonly { readonly number: number; readonly peer: Endpoint; readonly expiresAt: number }[];
}

/** What was relayed since the allocation began, application payload only. */
export interface Traffic {
  readonly packetsToPeers: number;
  readonly bytesToPeers: number;
  readonly packetsToClient: number;
  readonly bytesToClient: number;
  /** When the totals were read. Those of another relay may be some seconds old. */
  readonly readAt: number;
}

/** An allocation must match all that is there. */
export interface AllocationFilter {
  readonly tenant?: string;
  readonly user?: string;
  /** Identity of a relay. */
  readonly relay?: string;
}

export interface PageRequest {
  /** 1 or more. */
  readonly limit: number;
  /** `next` of the page before; absent for the first. */
  readonly after?: string;
}

export interface AllocationPage {
  readonly allocations: readonly AllocationStatus[];
  /** Absent on the last page. */
  readonly next?: string;
}

/** What a watcher is told: a snapshot, in pages, and every change after it. */
export type AllocationChange =
  /** With `first`, all that was told before is void. */
  | {
      readonly type: "snapshot";
      readonly allocations: readonly AllocationStatus[];
      readonly first: boolean;
      readonly last: boolean;
    }
  | { readonly type: "created"; readonly allocation: AllocationStatus }
  /** Its lifetime, permissions or channels changed, or it moved to another relay or client address. */
  | { readonly type: "refreshed"; readonly allocation: AllocationStatus }
  /** As it was at its end, with its final traffic. */
  | { readonly type: "deleted"; readonly allocation: AllocationStatus; readonly reason: string };
