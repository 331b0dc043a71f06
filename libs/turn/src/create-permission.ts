import { Attr, type AttributeType, ErrorCode } from "@culvert/stun";
import { allowedPeer } from "./allowed-peer.ts";
import type { Core } from "./core.ts";
import { ownAllocation } from "./own-allocation.ts";
import { type AllowedPeer, hasRoomForPermissions, installPermission } from "./permissions.ts";
import { refuse, succeed } from "./reply.ts";
import type { AuthenticatedRequest } from "./request.ts";

/** An XOR-PEER-ADDRESS, well-formed or not. */
const ANY_PEER: AttributeType<true> = {
  ...Attr.DontFragment,
  type: Attr.XorPeerAddress.type,
  name: Attr.XorPeerAddress.name,
  read: () => true,
};

/** A CreatePermission request (RFC 8656 section 10.2): all of its peers get a permission, or none. */
export function handleCreatePermission(core: Core, request: AuthenticatedRequest): void {
  const { message, now } = request;
  const allocation = ownAllocation(core, request);
  if (allocation === undefined) return;
  const addresses = message.getAll(Attr.XorPeerAddress);
  if (addresses.length === 0 || addresses.length < message.getAll(ANY_PEER).length) {
    refuse(core, request, ErrorCode.BadRequest);
    return;
  }

  const peers: AllowedPeer[] = [];
  for (const { ip } of addresses) {
    const result = allowedPeer(core, allocation, message.method, ip);
    if (!result.ok) {
      refuse(core, request, result.code);
      return;
    }
    peers.push(result.peer);
  }
  if (!hasRoomForPermissions(core, allocation, peers, now)) {
    refuse(core, request, ErrorCode.InsufficientCapacity);
    return;
  }
  for (const peer of peers) installPermission(core, peer, now);
  succeed(core, request, []);
}
