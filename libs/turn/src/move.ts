import { Attr, attribute, ErrorCode } from "@culvert/stun";
import type { Allocation, MobilityState } from "./allocation.ts";
import { slotOf } from "./allocations.ts";
import type { Core } from "./core.ts";
import { refuseOtherUser } from "./own-allocation.ts";
import { sameOwner } from "./quotas.ts";
import { refreshRelays, relaysToRefresh, requestedLifetime } from "./refresh-relays.ts";
import { refuse, send, succeed } from "./reply.ts";
import type { AuthenticatedRequest } from "./request.ts";
import { sameTransaction, sameTuple } from "./tuple.ts";

/**
 * A Refresh request with a mobility ticket (RFC 8016 section 3.2.2): the client is at another 5-tuple, or will be. Its data
 * goes to the old one until it sends something from the new one.
 */
export function handleMove(core: Core, request: AuthenticatedRequest, bytes: Uint8Array): void {
  const { client, listener, message, now } = request;
  const ticket = core.tickets.read(bytes, now);
  if (ticket === undefined) {
    refuse(core, request, ErrorCode.BadRequest);
    return;
  }
  if (core.restores.hasRecord(ticket.record)) {
    core.out.dropped("restoring");
    return;
  }
  const allocation = core.allocations.withRecord(ticket.record);
  if (allocation === undefined) {
    refuse(core, request, ErrorCode.AllocationMismatch);
    return;
  }
  if (!sameOwner(allocation.owner, request.identity.owner)) {
    refuseOtherUser(core, request);
    return;
  }
  const { mobility } = allocation;
  const { last } = mobility ?? {};
  if (
    last !== undefined &&
    sameTransaction(last.transactionId, message.transactionId) &&
    sameTuple(last.client, client)
  ) {
    send(core, request, last.response);
    return;
  }
  if (mobility === undefined || !mayMove(allocation, mobility, ticket.generation, request)) {
    refuse(core, request, ErrorCode.BadRequest);
    return;
  }
  if (isTaken(core, allocation, request)) {
    refuse(core, request, ErrorCode.AllocationMismatch);
    return;
  }
  const relays = relaysToRefresh(allocation, request);
  if (relays.length === 0) {
    refuse(core, request, ErrorCode.PeerAddressFamilyMismatch);
    return;
  }

  const lifetimeSeconds = requestedLifetime(core, request);
  refreshRelays(core, allocation, relays, lifetimeSeconds, now);
  if (allocation.relays.size === 0) {
    succeed(core, request, [attribute(Attr.Lifetime, lifetimeSeconds)]);
    return;
  }
  mobility.generation = Math.max(mobility.generation, ticket.generation) + 1;
  const next = core.tickets.make(allocation.record, slotOf(allocation), mobility.generation, now);
  const response = succeed(core, request, [
    attribute(Attr.Lifetime, lifetimeSeconds),
    attribute(Attr.MobilityTicket, next),
  ]);
  mobility.last = { client, transactionId: new Uint8Array(message.transactionId), response };
  if (mobility.orphaned !== undefined) core.allocations.relocate(allocation, { client, listener });
  else core.allocations.expect(allocation, sameTuple(allocation.client, client) ? undefined : { client, listener });
}

/**
 * The ticket has to be the last one, and to come from elsewhere than the client said last. As long as it has sent nothing
 * from there it may not have got the last one: then the one before will do.
 */
function mayMove(
  allocation: Allocation,
  { generation, moving, orphaned }: MobilityState,
  used: number,
  { client }: AuthenticatedRequest,
): boolean {
  if (moving !== undefined && used === generation - 1) return true;
  // One later than the last that is known was given by a server that ended before it had told anybody.
  if (used < generation) return false;
  if (moving !== undefined) return !sameTuple(moving.client, client);
  return orphaned !== undefined || !sameTuple(allocation.client, client);
}

/** Whether the 5-tuple has, or is getting, another allocation. */
function isTaken(core: Core, allocation: Allocation, { client }: AuthenticatedRequest): boolean {
  const other = core.allocations.get(client);
  return (other !== undefined && other !== allocation) || core.attempts.get(client) !== undefined;
}
