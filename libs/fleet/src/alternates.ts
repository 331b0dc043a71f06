import { familyOf, type TransportAddress } from "@culvert/stun";
import type { PeerEntry } from "./types.ts";

/**
 * Where clients are sent that this relay has no room for: addresses of the other relays, those with the most room for their
 * size first. Relays that drain or are full are left out. Of one relay the first address of each family is told.
 */
export function alternatesOf(relays: readonly PeerEntry[], ownIdentity: string): readonly TransportAddress[] {
  return relays
    .filter(({ identity, load }) => identity !== ownIdentity && !load.draining && load.allocations < load.capacity)
    .map((relay) => ({ relay, used: relay.load.allocations / relay.load.capacity }))
    .sort((a, b) => a.used - b.used || (a.relay.identity < b.relay.identity ? -1 : 1))
    .flatMap(({ relay: { turn } }) =>
      ([4, 6] as const).flatMap((family) => turn.find(({ ip }) => familyOf(ip) === family) ?? []),
    );
}
