import type { AllocationRecord, FleetTime } from "./port.ts";

/** Milliseconds that a record is kept beyond its allocation's expiry: what a restore may be late. */
export const RECORD_SLACK_MS = 60_000;

/** Milliseconds that a lease nobody renews is remembered, so that the epochs of its slot keep growing: 7 days. */
export const SLOT_MEMORY_MS = 604_800_000;

/** Records in a page of `recordsOf`. */
export const SLOT_PAGE = 250;

/** When the last of the relayed addresses expires, in whole milliseconds. The allocation counts until then. */
export function expiryOf(record: AllocationRecord): FleetTime {
  return Math.ceil(record.relays.reduce((latest, relay) => Math.max(latest, relay.expiresAt), 0));
}

/** Position after a record in a listing that goes through the slots in order of their names. */
export interface ListCursor {
  readonly slot: string;
  /** Empty: before the first record of the slot. */
  readonly id: string;
}

export function encodeCursor({ slot, id }: ListCursor): string {
  return `${slot} ${id}`;
}

/** What is no cursor stands before everything. */
export function decodeCursor(text: string | undefined): ListCursor {
  const [slot = "", id = ""] = (text ?? "").split(" ");
  return { slot, id };
}
