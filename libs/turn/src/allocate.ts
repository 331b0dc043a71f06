import { type AddressFamily, Attr, attribute, ErrorCode, familyOf, TransportProtocol } from "@culvert/stun";
import type { AllocatePlan } from "./allocate-attempts.ts";
import type { Core } from "./core.ts";
import { refuseOtherUser } from "./own-allocation.ts";
import { sameOwner } from "./quotas.ts";
import { refuse, send } from "./reply.ts";
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
    send(core, request, existing.response);
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
    const code = quota === "total" ? ErrorCode.InsufficientCapacity : ErrorCode.AllocationQuotaReached;
    refuse(core, request, code);
    return;
  }
  core.attempts.start(core, request, plan);
}

/** The lifetime in seconds that a client gets for the one it asks for (RFC 8656 section 7.2). */
export function grantedLifetime(core: Core, requested: number | undefined): number {
  const { defaultLifetimeSeconds, maxLifetimeSeconds } = core.config;
  return Math.min(Math.max(requested ?? 0, defaultLifetimeSeconds), maxLifetimeSeconds);
}

function parse(core: Core, request: AuthenticatedRequest): Parsed {
  const { message, identity } = request;
  const transport = message.get(Attr.RequestedTransport);
  if (transport === undefined) return failed(ErrorCode.BadRequest);
  if (transport !== TransportProtocol.Udp) return failed(ErrorCode.UnsupportedTransport);
  if (message.has(Attr.MobilityTicket) && core.config.mobility === "forbidden") {
    return failed(ErrorCode.MobilityForbidden);
  }

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
    return { ok: true, plan: { lifetimeSeconds, families: [], evenPort: "any", reservation: token } };
  }
  const families: readonly AddressFamily[] = hasAdditional ? [4, 6] : [requested ?? 4];
  if (!families.some((family) => core.sockets.supports(family))) {
    return failed(ErrorCode.AddressFamilyNotSupported);
  }
  const need = evenPort === undefined ? "any" : evenPort.reserveNext ? "pair" : "even";
  return { ok: true, plan: { lifetimeSeconds, families, evenPort: need } };
}

function redirect(core: Core, request: AuthenticatedRequest): void {
  const family = familyOf(request.client.remote.ip);
  const alternate = core.draining?.alternates?.find(({ ip }) => familyOf(ip) === family);
  if (alternate === undefined) {
    refuse(core, request, ErrorCode.InsufficientCapacity);
    return;
  }
  refuse(core, request, ErrorCode.TryAlternate, [attribute(Attr.AlternateServer, alternate)]);
}

function failed(code: number): Parsed {
  return { ok: false, code };
}
