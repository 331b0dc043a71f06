import { Attr } from "@culvert/stun";
import type { Allocation, Relay } from "./allocation.ts";
import { slotOf } from "./allocations.ts";
import type { Core } from "./core.ts";
import type { Millis } from "./io.ts";
import { grantedLifetime } from "./lifetime.ts";
import type { AuthenticatedRequest } from "./request.ts";

/** The relayed addresses that a Refresh is about. */
export function relaysToRefresh(allocation: Allocation, { message }: AuthenticatedRequest): readonly Relay[] {
  const family = message.get(Attr.RequestedAddressFamily);
  return [...allocation.relays.values()].filter(({ socket }) => family === undefined || socket.family === family);
}

/** In seconds; 0: they are to end. */
export function requestedLifetime(core: Core, { message }: AuthenticatedRequest): number {
  const requested = message.get(Attr.Lifetime);
  return requested === 0 ? 0 : grantedLifetime(core, requested);
}

/** Gives relayed addresses more time, or ends them. */
export function refreshRelays(
  core: Core,
  allocation: Allocation,
  relays: readonly Relay[],
  lifetimeSeconds: number,
  now: Millis,
): void {
  if (lifetimeSeconds === 0) {
    for (const relay of relays) core.allocations.deleteRelay(relay, "refresh");
    return;
  }
  for (const relay of relays) core.allocations.extend(relay, lifetimeSeconds, now);
  core.out.event({
    type: "event",
    name: "allocation-refreshed",
    ...allocation.owner,
    allocation: allocation.id,
    record: allocation.record,
    slot: slotOf(allocation),
    client: allocation.client,
    transport: allocation.listener.transport,
    relayed: relays.map(({ socket }) => socket.relayed),
    lifetimeSeconds,
  });
}
