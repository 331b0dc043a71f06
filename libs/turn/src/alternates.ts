import { Attr, attribute, ErrorCode, familyOf, sameAddress, type TransportAddress } from "@culvert/stun";
import type { Core } from "./core.ts";
import type { ClientTransport } from "./io.ts";
import { refuse } from "./reply.ts";
import type { AuthenticatedRequest } from "./request.ts";

/** Another server of the fleet, as clients know it. */
export interface Alternate extends TransportAddress {
  /** Only for clients that came over this transport. Default: for all. */
  readonly transport?: ClientTransport;
}

/**
 * Sends the client to another server: 300 (Try Alternate, RFC 8489 section 10) with the first alternate of the family and
 * the transport that it came by. Without one: 508 (Insufficient Capacity).
 */
export function redirect(core: Core, request: AuthenticatedRequest): void {
  const { client, listener } = request;
  const family = familyOf(client.remote.ip);
  const alternates = core.draining?.alternates ?? core.alternates;
  const alternate = alternates.find(
    ({ ip, port, transport }) =>
      familyOf(ip) === family &&
      (transport ?? listener.transport) === listener.transport &&
      !sameAddress({ ip, port }, listener.address),
  );
  if (alternate === undefined) {
    refuse(core, request, ErrorCode.InsufficientCapacity);
    return;
  }
  const { ip, port } = alternate;
  refuse(core, request, ErrorCode.TryAlternate, [attribute(Attr.AlternateServer, { ip, port })]);
}
