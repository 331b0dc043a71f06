import { Attr, ErrorCode, isChannelNumber, sameAddress } from "@culvert/stun";
import { allowedPeer, peerDenied } from "./allowed-peer.ts";
import { installChannel } from "./channels.ts";
import type { Core } from "./core.ts";
import { ownAllocation } from "./own-allocation.ts";
import { hasRoomForPermissions, installPermission, takeNewPeers } from "./permissions.ts";
import { refuse, succeed } from "./reply.ts";
import type { AuthenticatedRequest } from "./request.ts";
import { addressKey } from "./tuple.ts";

/** A ChannelBind request (RFC 8656 section 12.2). It installs or refreshes the peer's permission, too. */
export function handleChannelBind(core: Core, request: AuthenticatedRequest): void {
  const { message, now } = request;
  const allocation = ownAllocation(core, request);
  if (allocation === undefined) return;
  const number = message.get(Attr.ChannelNumber);
  const peer = message.get(Attr.XorPeerAddress);
  if (number === undefined || peer === undefined || !isChannelNumber(number)) {
    return refuse(core, request, ErrorCode.BadRequest);
  }
  const bound = allocation.channels.get(number);
  const ofPeer = allocation.channelsByPeer.get(addressKey(peer));
  if ((bound !== undefined && !sameAddress(bound.peer, peer)) || bound !== ofPeer) {
    return refuse(core, request, ErrorCode.BadRequest);
  }

  const result = allowedPeer(core, allocation, message.method, peer.ip);
  if (!result.ok) return refuse(core, request, result.code);
  const { relay, decision } = result.peer;
  if (!core.guard.allowsPort(peer, decision.ports)) {
    peerDenied(core, allocation, message.method, peer.ip, `port ${peer.port}`);
    return refuse(core, request, ErrorCode.Forbidden);
  }
  const full = bound === undefined && allocation.channels.size >= core.config.limits.channelsPerAllocation;
  if (full || !hasRoomForPermissions(core, allocation, [result.peer], now)) {
    return refuse(core, request, ErrorCode.InsufficientCapacity);
  }
  // A new port of a known peer is a new peer, too: otherwise one permission would do for a scan of all ports.
  const newPort = bound === undefined && relay.permissions.has(peer.ip);
  if (newPort && !takeNewPeers(core, allocation, 1, now)) return refuse(core, request, ErrorCode.InsufficientCapacity);
  installPermission(core, result.peer, now);
  installChannel(core, relay, number, peer, decision.wireIp, now);
  succeed(core, request, []);
}
