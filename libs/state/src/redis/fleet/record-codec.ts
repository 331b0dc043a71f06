import type { AllocationRecord } from "../../fleet/port.ts";
import { expiryOf } from "../../fleet/rules.ts";
import { integer, text } from "../reply.ts";

/** Version of what stands in a record. A greater one is another program's. */
const VERSION = 1;

/** What scripts look at stands beside the rest. */
type Body = Omit<AllocationRecord, "id" | "slot" | "tenant" | "user" | "tuple" | "createdAt">;

/** The words by which scripts take a record. */
export function encodeRecord(record: AllocationRecord): (string | number)[] {
  const { id, slot, tenant, user, tuple, createdAt, ...body } = record;
  return [id, slot, tenant, user, tuple, Math.round(createdAt), expiryOf(record), JSON.stringify(body)];
}

/** A record as scripts tell it. */
export interface Row {
  readonly id: string;
  readonly identity: string;
  /** `newer`: of a newer schema. `unreadable`: of this one, but not as it should be. */
  readonly record: AllocationRecord | "newer" | "unreadable";
}

export function decodeRow(row: readonly unknown[]): Row {
  const [id, version, slot, identity, tenant, user, tuple, createdAt, body] = row;
  const known = { id: text(id), identity: text(identity) };
  if (integer(version) > VERSION) return { ...known, record: "newer" };
  const parsed = parseBody(text(body));
  if (parsed === undefined) return { ...known, record: "unreadable" };
  return {
    ...known,
    record: {
      id: text(id),
      slot: text(slot),
      tenant: text(tenant),
      user: text(user),
      tuple: text(tuple),
      createdAt: integer(createdAt),
      ...parsed,
    },
  };
}

function parseBody(json: string): Body | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return isBody(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Looks at what a reader would stumble over; what this schema's programs write passes. */
function isBody(value: unknown): value is Body {
  if (!isObject(value)) return false;
  const { slots, relays, listener, remote, claims, counters } = value;
  if (![listener, remote, claims, counters].every(isObject) || !Array.isArray(slots) || !Array.isArray(relays)) {
    return false;
  }
  return relays.every(
    (relay: unknown) =>
      isObject(relay) &&
      [relay.local, relay.relayed].every(isObject) &&
      Array.isArray(relay.permissions) &&
      Array.isArray(relay.channels),
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
