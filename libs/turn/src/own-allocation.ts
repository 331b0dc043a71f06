import { ErrorCode } from "@culvert/stun";
import type { Allocation } from "./allocation.ts";
import type { Core } from "./core.ts";
import { sameOwner } from "./quotas.ts";
import { refuse } from "./reply.ts";
import type { AuthenticatedRequest } from "./request.ts";

/**
 * The allocation of the request's 5-tuple. Answers the request, and returns nothing, where there is none (437) or it is
 * another user's (441, RFC 8656 section 5).
 */
export function ownAllocation(core: Core, request: AuthenticatedRequest): Allocation | undefined {
  const allocation = core.allocations.get(request.client);
  if (allocation === undefined) {
    refuse(core, request, ErrorCode.AllocationMismatch);
    return undefined;
  }
  if (!sameOwner(allocation.owner, request.identity.owner)) {
    refuseOtherUser(core, request);
    return undefined;
  }
  core.allocations.heard(allocation, request.client);
  return allocation;
}

/** Answers another user's request on a 5-tuple that is taken. */
export function refuseOtherUser(core: Core, request: AuthenticatedRequest): void {
  core.out.event({
    type: "event",
    name: "auth-failed",
    code: ErrorCode.WrongCredentials,
    reason: "other-user",
    tenant: request.identity.owner.tenant,
    client: request.client,
  });
  refuse(core, request, ErrorCode.WrongCredentials);
}
