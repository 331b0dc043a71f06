import type { LeaseTimes } from "./lease-times.ts";
import type { Contact, Millis, RelayIdentity, SlotView } from "./types.ts";

/** A relay that lives, or the own one: when it sent its last renewal and its contact with the store. */
export interface Witness {
  readonly sentAt: Millis;
  readonly contact: readonly Contact[];
}

/**
 * By which right a relay may ask for a slot now; undefined: by none.
 *
 * @param view the slot as the store has it, read just now; undefined: the store does not know it
 * @param now fleet time
 */
export function ruleFor(
  { identity, host, times }: RelayIdentity & { readonly times: LeaseTimes },
  view: SlotView | undefined,
  witnesses: readonly Witness[],
  now: Millis,
): "same-identity" | "expired" | undefined {
  // Of a slot that it does not know the store says by itself when it is to be had.
  if (view === undefined || (view.identity === identity && view.host === host)) return "same-identity";
  if (view.releasedTo === identity || view.releasedTo === "") return "expired";
  if (view.expiresInMs > 0) return undefined;
  // Handed over to a relay that does not take it.
  if (view.releasedTo !== undefined) return view.expiresInMs <= -times.ttl ? "expired" : undefined;
  return ownerHasStopped(now + view.expiresInMs, witnesses, now, times) ? "expired" : undefined;
}

/**
 * Whether the former owner of a lease that ended at `ended` has stopped relaying for certain. It may have gone on by
 * consent, if all the relays that it knew said that they do not reach the store. So one that it knew, and that has reached
 * the store ever since it could last have been heard to say otherwise, proves that it did not. Without such a witness only
 * time does: an owner goes on for no longer than `outage`.
 *
 * @param now fleet time
 */
export function ownerHasStopped(ended: Millis, witnesses: readonly Witness[], now: Millis, times: LeaseTimes): boolean {
  if (now < ended) return false;
  if (now >= ended + times.outage) return true;
  return witnesses.some((witness) => wasKnown(witness.contact, ended, times) && reachedStore(witness, ended, times));
}

/**
 * The owner asked who lives at some time from one ttl before its last renewal to one interval and one time-out after it;
 * an entry lives from `since` on until one ttl after `until`.
 */
function wasKnown(contact: readonly Contact[], ended: Millis, { ttl, interval, timeout }: LeaseTimes): boolean {
  const renewed = ended - ttl;
  return contact.some(
    ({ since, until }) => since <= renewed - ttl - timeout && until + ttl >= renewed + interval + timeout,
  );
}

/**
 * The streak that the entry was sent in began so early that what was heard before it neither holds any more nor has
 * extended the lease up to now.
 */
function reachedStore({ sentAt, contact }: Witness, ended: Millis, { ttl }: LeaseTimes): boolean {
  return sentAt >= ended && contact.some(({ since, until }) => until === sentAt && since <= sentAt - ttl);
}
