import { Attr, attribute, ErrorCode } from "@culvert/stun";
import { grantedLifetime } from "./allocate.ts";
import type { Core } from "./core.ts";
import { ownAllocation } from "./own-allocation.ts";
import { refuse, succeed } from "./reply.ts";
import type { AuthenticatedRequest } from "./request.ts";

/** A Refresh request (RFC 8656 section 8.2). REQUESTED-ADDRESS-FAMILY picks one of two relayed addresses. */
export function handleRefresh(core: Core, request: AuthenticatedRequest): void {
  const { message, now } = request;
  if (message.has(Attr.MobilityTicket) && core.config.mobility === "forbidden") {
    refuse(core, request, ErrorCode.MobilityForbidden);
    return;
  }
  const allocation = ownAllocation(core, request);
  if (allocation === undefined) return;
  const family = message.get(Attr.RequestedAddressFamily);
  const relays = [...allocation.relays.values()].filter(
    ({ socket }) => family === undefined || socket.family === family,
  );
  if (relays.length === 0) {
    refuse(core, request, ErrorCode.PeerAddressFamilyMismatch);
    return;
  }

  const requested = message.get(Attr.Lifetime);
  const lifetimeSeconds = requested === 0 ? 0 : grantedLifetime(core, requested);
  if (lifetimeSeconds === 0) {
    for (const relay of relays) core.allocations.deleteRelay(relay, "refresh");
  } else {
    for (const relay of relays) core.allocations.extend(relay, lifetimeSeconds, now);
    core.out.event({
      type: "event",
      name: "allocation-refreshed",
      ...allocation.owner,
      allocation: allocation.id,
      client: allocation.client,
      transport: allocation.listener.transport,
      relayed: relays.map(({ socket }) => socket.relayed),
      lifetimeSeconds,
    });
  }
  succeed(core, request, [attribute(Attr.Lifetime, lifetimeSeconds)]);
}
