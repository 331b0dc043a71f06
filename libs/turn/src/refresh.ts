import { Attr, attribute, ErrorCode } from "@culvert/stun";
import type { Core } from "./core.ts";
import { handleMove } from "./move.ts";
import { ownAllocation } from "./own-allocation.ts";
import { refreshRelays, relaysToRefresh, requestedLifetime } from "./refresh-relays.ts";
import { refuse, succeed } from "./reply.ts";
import type { AuthenticatedRequest } from "./request.ts";

/** A Refresh request (RFC 8656 section 8.2). REQUESTED-ADDRESS-FAMILY picks one of two relayed addresses. */
export function handleRefresh(core: Core, request: AuthenticatedRequest): void {
  const { message, now } = request;
  const ticket = core.config.mobility === "ignored" ? undefined : message.get(Attr.MobilityTicket);
  if (ticket !== undefined) {
    if (core.config.mobility === "forbidden") refuse(core, request, ErrorCode.MobilityForbidden);
    else handleMove(core, request, ticket);
    return;
  }
  const allocation = ownAllocation(core, request);
  if (allocation === undefined) return;
  const relays = relaysToRefresh(allocation, request);
  if (relays.length === 0) {
    refuse(core, request, ErrorCode.PeerAddressFamilyMismatch);
    return;
  }
  const lifetimeSeconds = requestedLifetime(core, request);
  refreshRelays(core, allocation, relays, lifetimeSeconds, now);
  succeed(core, request, [attribute(Attr.Lifetime, lifetimeSeconds)]);
}
