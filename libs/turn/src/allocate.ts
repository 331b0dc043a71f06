import { type AddressFamily, Attr, ErrorCode, TransportProtocol } from "@culvert/stun";
import type { AllocatePlan } from "./allocate-attempts.ts";
import { successOf } from "./allocate-success.ts";
import type { Allocation } from "./allocation.ts";
import { redirect } from "./alternates.ts";
import type { Core } from "./core.ts";
import { grantedLifetime } from "./lifetime.ts";
import { refuseOtherUser } from "./own-allocation.ts";
import { sameOwner } from "./quotas.ts";
import { refuse, send, succeed } from "./reply.ts";
import type { AuthenticatedRequest } from "./request.ts";
import { sameTransaction } from "./tuple.ts";

type Parsed = { readonly ok: true; readonly plan: AllocatePlan } | { readonly ok: false; readonly code: number };

/** An Allocate request (RFC 8656 section 7.2). */
export function handleAllocate(core: Core, request: AuthenticatedRequest): void {
  const { client, message, identity } = request;
  const existing = core.allocations.get(client);
  const attempt = core.attempts.get(client)?.request;
  const owner = existing?.owner ?? attempt?.identity.owner;
  if (owner !== undefined && !sameOwner(owner, identity.owner)) {
    refuseOtherUser(core, request);
    return;
  }
  if (existing !== undefined && sameTransaction(existing.transactionId, message.transactionId)) {
    repeat(core, request, existing);
    return;
  }
  if (owner !== undefined) {
    refuse(core, request, ErrorCode.AllocationMismatch);
    return;
  }

  const parsed = parse(core, request);
  if (!parsed.ok) {
    refuse(core, request, parsed.code);
    return;
  }
  if (core.draining !== undefined) {
    redirect(core, request);
    return;
  }
  const { plan } = parsed;
  // A reserved port counts already.
  const more = plan.reservation !== undefined ? 0 : plan.evenPort === "pair" ? 2 : 1;
  const quota = core.quotas.exceeded(identity.owner, identity.claims, more);
  if (quota !== undefined) {
    if (quota === "total") redirect(core, request);
    else refuse(core, request, ErrorCode.AllocationQuotaReached);
    return;
  }
  core.attempts.start(core, request, plan);
}

/** Answers a retransmission as before, in this process or in the one that had the allocation then. */
function repeat(core: Core, request: AuthenticatedRequest, allocation: Allocation): void {
  if (allocation.response !== undefined) {
    send(core, request, allocation.response);
    return;
  }
  const ends = [...allocation.relays.values()].map(({ expiry }) => expiry.at);
  const lifetimeSeconds = Math.floor((Math.min(...ends) - request.now) / 1000);
  allocation.response = succeed(core, request, successOf(core, request, allocation, lifetimeSeconds));
}

function parse(core: Core, request: AuthenticatedRequest): Parsed {
  const { message, identity } = request;
  const transport = message.get(Attr.RequestedTransport);
  if (transport === undefined) return failed(ErrorCode.BadRequest);
  if (transport !== TransportProtocol.Udp) return failed(ErrorCode.UnsupportedTransport);
  const ticket = core.config.mobility === "ignored" ? undefined : message.get(Attr.MobilityTicket);
  if (ticket !== undefined && ticket.length > 0) return failed(ErrorCode.BadRequest);
  if (ticket !== undefined && core.config.mobility === "forbidden") return failed(ErrorCode.MobilityForbidden);
  const mobile = ticket !== undefined;

  const token = message.get(Attr.ReservationToken);
  const evenPort = message.get(Attr.EvenPort);
  const requested = message.get(Attr.RequestedAddressFamily);
  const additional = message.get(Attr.AdditionalAddressFamily);
  const hasAdditional = message.has(Attr.AdditionalAddressFamily);
  const exclusive = [token, evenPort, requested, hasAdditional || undefined].filter((value) => value !== undefined);
  if (token !== undefined && exclusive.length > 1) return failed(ErrorCode.BadRequest);
  if (hasAdditional && (requested !== undefined || additional !== 6)) return failed(ErrorCode.BadRequest);
  if (hasAdditional && evenPort?.reserveNext === true) return failed(ErrorCode.BadRequest);

  const lifetimeSeconds = grantedLifetime(core, message.get(Attr.Lifetime));
  if (token !== undefined) {
    const check = core.reservations.check(token, identity.owner);
    if (check === "other-user") return failed(ErrorCode.WrongCredentials);
    if (check === "unknown") return failed(ErrorCode.InsufficientCapacity);
    return { ok: true, plan: { lifetimeSeconds, families: [], evenPort: "any", reservation: token, mobile } };
  }
  const families: readonly AddressFamily[] = hasAdditional ? [4, 6] : [requested ?? 4];
  if (!families.some((family) => core.sockets.supports(family))) {
    return failed(ErrorCode.AddressFamilyNotSupported);
  }
  const need = evenPort === undefined ? "any" : evenPort.reserveNext ? "pair" : "even";
  return { ok: true, plan: { lifetimeSeconds, families, evenPort: need, mobile } };
}

function failed(code: number): Parsed {
  return { ok: false, code };
}
