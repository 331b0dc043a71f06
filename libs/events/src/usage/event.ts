/** Totals since the allocation began, application payload only. */
export interface UsageCounters {
  readonly packetsToPeers: number;
  readonly bytesToPeers: number;
  readonly packetsToClient: number;
  readonly bytesToClient: number;
}

/** Whose usage it is. */
export interface UsageSubject {
  /** Unique over all relays and restarts: `[A-Za-z0-9_-]{1,64}`. */
  readonly allocation: string;
  readonly tenant: string;
  readonly user: string;
  /** The signing key of the credential. Absent for static users and static secrets. */
  readonly kid?: string;
  /** When the allocation began, in milliseconds since the Unix epoch on the fleet's clock. */
  readonly startedAt: number;
}

/** The version of {@link UsageEvent}. A change that readers of the version before would misread makes it grow. */
export const USAGE_VERSION = 1;

export const USAGE_KINDS = ["start", "interim", "stop"] as const;
export type UsageKind = (typeof USAGE_KINDS)[number];

/**
 * What an allocation has used so far. Events may come twice, and in any order; what each says is true by itself, since its
 * counters are totals. Within an allocation the sequence grows with each event, over restarts of its relay too; holes in it
 * mean nothing. Of an allocation that ends with its relay another one tells the stop, with what is known of its counters, once
 * its lifetime is over. Where no relay was left to do so it counts as ended when it shows no interim any more.
 */
export interface UsageEvent extends UsageSubject, UsageCounters {
  readonly v: typeof USAGE_VERSION;
  readonly kind: UsageKind;
  readonly sequence: number;
  /** When it was measured, in milliseconds since the Unix epoch on the fleet's clock. */
  readonly at: number;
  /** Identity of the relay that measured it. */
  readonly relay: string;
  /** Why it ended; only in a stop. */
  readonly reason?: string;
}

/**
 * The reason of a stop that says no more than that nobody carried the allocation on for as long as it was to live. Events
 * that were measured later prove it wrong: its relay was cut off, and came back.
 */
export const USAGE_LOST = "lost";

/** Equal for the same event sent twice, and for no other. Fits into a header. */
export function usageId({ allocation, sequence }: Pick<UsageEvent, "allocation" | "sequence">): string {
  return `${allocation}.${sequence}`;
}

const utf8 = new TextEncoder();

/** JSON: other languages read it, too. */
export function encodeUsageEvent(event: UsageEvent): Uint8Array {
  return utf8.encode(JSON.stringify(event));
}

const isText = (value: unknown): value is string => typeof value === "string";
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
const isKind = (value: unknown): value is UsageKind => USAGE_KINDS.some((kind) => kind === value);
const ALLOCATION = /^[A-Za-z0-9_-]{1,64}$/;

/** The event that `bytes` hold; undefined if they hold none of this version. */
export function decodeUsageEvent(bytes: Uint8Array): UsageEvent | undefined {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const fields: Readonly<Record<string, unknown>> = { ...value };
  const { v, kind, allocation, sequence, at, startedAt, tenant, user, kid, relay, reason } = fields;
  const { packetsToPeers, bytesToPeers, packetsToClient, bytesToClient } = fields;
  if (v !== USAGE_VERSION || !isKind(kind) || !isText(allocation) || !ALLOCATION.test(allocation)) return undefined;
  if (!isCount(sequence) || !isCount(at) || !isCount(startedAt)) return undefined;
  if (!isText(tenant) || !isText(user) || !isText(relay)) return undefined;
  if ((kid !== undefined && !isText(kid)) || (reason !== undefined && !isText(reason))) return undefined;
  if (!isCount(packetsToPeers) || !isCount(bytesToPeers)) return undefined;
  if (!isCount(packetsToClient) || !isCount(bytesToClient)) return undefined;
  return {
    ...{ v, kind, allocation, sequence, at, startedAt, tenant, user, relay },
    ...{ packetsToPeers, bytesToPeers, packetsToClient, bytesToClient },
    ...(kid === undefined ? {} : { kid }),
    ...(reason === undefined ? {} : { reason }),
  };
}
