import { Attr, attribute, type EncodedAttribute } from "@culvert/stun";
import type { Allocation } from "./allocation.ts";
import { slotOf } from "./allocations.ts";
import type { Core } from "./core.ts";
import type { AuthenticatedRequest } from "./request.ts";

/** What the success response to an Allocate says of an allocation. */
export function successOf(
  core: Core,
  { client, now }: AuthenticatedRequest,
  allocation: Allocation,
  lifetimeSeconds: number,
): EncodedAttribute[] {
  const { mobility, record } = allocation;
  return [
    ...[...allocation.relays.values()].map(({ socket }) => attribute(Attr.XorRelayedAddress, socket.relayed)),
    attribute(Attr.Lifetime, lifetimeSeconds),
    attribute(Attr.XorMappedAddress, client.remote),
    ...(mobility === undefined
      ? []
      : [attribute(Attr.MobilityTicket, core.tickets.make(record, slotOf(allocation), mobility.generation, now))]),
  ];
}
