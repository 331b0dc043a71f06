import type { TransportAddress } from "@culvert/stun";
import type { ClientTransport, ListenerId, PortRange } from "./io.ts";
import type { PeerPolicy } from "./peer-policy.ts";
import type { Rate } from "./rate-limit.ts";

/** A listener as the TURN server knows it. Peers are never allowed to be one. */
export interface ListenerConfig {
  readonly id: ListenerId;
  readonly transport: ClientTransport;
  /** The bound address. */
  readonly address: TransportAddress;
}

/** An IP address that relay sockets are bound to. */
export interface RelayAddressConfig {
  /** The address on this host. Its family is the family of the relayed addresses. */
  readonly ip: string;
  /** The address that clients and peers know it by, where that is another one (`public/private`). */
  readonly external?: string;
  /** Default: `TurnServerConfig.ports`. */
  readonly ports?: PortRange;
}

export interface TurnLimits {
  /** Permissions of one allocation; beyond: 508. Default 256. */
  readonly permissionsPerAllocation: number;
  /** Channels of one allocation; beyond: 508. Default 256. */
  readonly channelsPerAllocation: number;
  /** Allocations of one user, unless its credential says otherwise; beyond: 486. Default: no limit. */
  readonly allocationsPerUser: number;
  /** Allocations of one tenant; beyond: 486. Default: no limit. */
  readonly allocationsPerTenant: number;
  /** Allocations of this server; beyond: 508. Default: no limit but the ports. */
  readonly allocations: number;
  /** New peers of one allocation, per second: permissions and channels; beyond: 508. Default 50. */
  readonly newPeersPerSecond: number;
  /** New peers of one allocation at once. Default 200. */
  readonly newPeersBurst: number;
  /** 401 and 438 answers to one source (/32 or /64), per second; beyond: no answer. Default 100. */
  readonly unauthenticatedPerSecond: number;
  /** 401 and 438 answers to one source at once. Default 400. */
  readonly unauthenticatedBurst: number;
  /**
   * Wrong passwords for one user name from one source (/32 or /64), per second and at once. Beyond, its requests are
   * dropped, right or wrong, but those for an allocation that it has. Default 1 and 20.
   */
  readonly wrongPasswordsPerSecond: number;
  readonly wrongPasswordsBurst: number;
  /** Requests that wait for an answer to an `Ask`; beyond: dropped, or 500. Default 1024. */
  readonly pendingRequests: number;
  /** How long a request waits for an answer, in milliseconds. Default 3000. */
  readonly askTimeoutMs: number;
  /** How long an Allocate waits for its relay sockets, and a restored allocation for its own, in milliseconds. Default 2000. */
  readonly bindTimeoutMs: number;
  /** Ports tried for one relayed address while they turn out to be in use. Default 16. */
  readonly bindAttempts: number;
}

/** Who else has a say in whether there is an allocation. */
export interface Admission {
  /** Without an answer: 500 (Server Error), or what the own quotas allow. */
  readonly onUnavailable: "refuse" | "grant";
}

export type Mobility = "allowed" | "ignored" | "forbidden";

export interface TurnServerConfig {
  /** REALM (RFC 8489 section 14.9). Fewer than 128 characters. */
  readonly realm: string;
  /** SOFTWARE, told to authenticated clients only. Default: not told. */
  readonly software?: string;
  readonly listeners: readonly ListenerConfig[];
  readonly relays: readonly RelayAddressConfig[];
  /** Further addresses of this host: listeners on all addresses hear on them, too. Loopback is known. Default none. */
  readonly hostAddresses?: readonly string[];
  /** Relayed ports. Default 49152 to 65535. */
  readonly ports?: PortRange;
  /** Keys of the fleet for nonces. The first makes them, all are accepted. At least one, 16 bytes or more each. */
  readonly nonceKeys: readonly Uint8Array[];
  /** Default 3600. */
  readonly nonceLifetimeSeconds?: number;
  /** In the order of preference. Empty: as RFC 5389, without PASSWORD-ALGORITHMS. Default `["sha256", "md5"]`. */
  readonly passwordAlgorithms?: readonly ("md5" | "sha256")[];
  /** See `parsePeerPolicy`. */
  readonly policy: PeerPolicy;
  /** LIFETIME of an allocation whose client asks for none or for less, in seconds. Default 600. */
  readonly defaultLifetimeSeconds?: number;
  /** The longest LIFETIME, in seconds. Default 3600. */
  readonly maxLifetimeSeconds?: number;
  /**
   * Relayed ports come in slots: only those of `setSlots` are given out. `relays` says then which addresses are this
   * server's. Default false: all `ports` of all `relays`.
   */
  readonly slots?: boolean;
  /** Ask before each allocation, see `Question`. Default: as the own quotas have it. */
  readonly admission?: Admission;
  /** Put out `Changed`. Default false. */
  readonly changes?: boolean;
  /**
   * What a MOBILITY-TICKET in a request does (RFC 8016): moves the allocation, nothing, or 405 (Mobility Forbidden).
   * Default "ignored".
   */
  readonly mobility?: Mobility;
  /**
   * Keys of the fleet for mobility tickets, 16 bytes or more each. The first makes them, all are accepted. Default: a
   * random one, which no other server knows.
   */
  readonly ticketKeys?: readonly Uint8Array[];
  /** How long a mobility ticket is good for, in seconds, though never longer than its key is known. Default 86,400. */
  readonly ticketLifetimeSeconds?: number;
  /**
   * Clients that authenticate as RFC 5389 has it, without PASSWORD-ALGORITHM, may bind RFC 5766's channel numbers up to
   * 0x7FFF. Default false: 0x5000 and above are answered with 400, as RFC 8656 section 12.2 has it.
   */
  readonly rfc5766Channels?: boolean;
  readonly limits?: Partial<TurnLimits>;
}

/** What may change while the server runs. What is left out is as it was. */
export interface LiveConfig {
  /** Undefined in the mapping: not told any more. */
  readonly software?: string | undefined;
  readonly defaultLifetimeSeconds?: number;
  readonly maxLifetimeSeconds?: number;
  readonly rfc5766Channels?: boolean;
  readonly admission?: Admission | undefined;
  /** Those that are left out have their defaults again. */
  readonly limits?: Partial<TurnLimits>;
}

export interface ResolvedConfig extends TurnServerConfig {
  readonly hostAddresses: readonly string[];
  readonly ports: PortRange;
  readonly nonceLifetimeSeconds: number;
  readonly passwordAlgorithms: readonly ("md5" | "sha256")[];
  readonly defaultLifetimeSeconds: number;
  readonly maxLifetimeSeconds: number;
  readonly slots: boolean;
  readonly changes: boolean;
  readonly mobility: Mobility;
  readonly ticketLifetimeSeconds: number;
  readonly rfc5766Channels: boolean;
  readonly limits: TurnLimits;
}

/** The configuration with some of it changed. */
export function changedConfig(config: ResolvedConfig, live: LiveConfig): ResolvedConfig {
  const { software, admission, limits, ...rest } = { ...config, ...live };
  return {
    ...rest,
    ...(software === undefined ? {} : { software }),
    ...(admission === undefined ? {} : { admission }),
    limits: live.limits === undefined ? config.limits : { ...DEFAULT_LIMITS, ...live.limits },
  };
}

export const DEFAULT_LIMITS: TurnLimits = {
  permissionsPerAllocation: 256,
  channelsPerAllocation: 256,
  allocationsPerUser: Number.POSITIVE_INFINITY,
  allocationsPerTenant: Number.POSITIVE_INFINITY,
  allocations: Number.POSITIVE_INFINITY,
  newPeersPerSecond: 50,
  newPeersBurst: 200,
  unauthenticatedPerSecond: 100,
  unauthenticatedBurst: 400,
  wrongPasswordsPerSecond: 1,
  wrongPasswordsBurst: 20,
  pendingRequests: 1024,
  askTimeoutMs: 3000,
  bindTimeoutMs: 2000,
  bindAttempts: 16,
};

/** Answers to one source that is not authenticated. */
export function unauthenticatedRate({ unauthenticatedPerSecond, unauthenticatedBurst }: TurnLimits): Rate {
  return { perSecond: unauthenticatedPerSecond, burst: unauthenticatedBurst };
}

/** Wrong passwords for one user name from one source. */
export function guessRate({ wrongPasswordsPerSecond, wrongPasswordsBurst }: TurnLimits): Rate {
  return { perSecond: wrongPasswordsPerSecond, burst: wrongPasswordsBurst };
}

/** Fills in the defaults. */
export function resolveConfig(config: TurnServerConfig): ResolvedConfig {
  return {
    hostAddresses: [],
    ports: { min: 49152, max: 65535 },
    nonceLifetimeSeconds: 3600,
    passwordAlgorithms: ["sha256", "md5"],
    defaultLifetimeSeconds: 600,
    maxLifetimeSeconds: 3600,
    slots: false,
    changes: false,
    mobility: "ignored",
    ticketLifetimeSeconds: 86_400,
    rfc5766Channels: false,
    ...config,
    limits: { ...DEFAULT_LIMITS, ...config.limits },
  };
}
