import { Attr, ErrorCode, isChannelNumber, isRfc5766ChannelNumber, sameAddress } from "@culvert/stun";
import { allowedPeer, peerDenied } from "./allowed-peer.ts";
import { installChannel } from "./channels.ts";
import type { Core } from "./core.ts";
import { ownAllocation } from "./own-allocation.ts";
import { allowsPort } from "./peer-guard.ts";
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
  if (number === undefined || peer === undefined || !mayBind(core, request, number)) {
    refuse(core, request, ErrorCode.BadRequest);
    return;
  }
  const bound = allocation.channels.get(number);
  const ofPeer = allocation.channelsByPeer.get(addressKey(peer));
  if ((bound !== undefined && !sameAddress(bound.peer, peer)) || bound !== ofPeer) {
    refuse(core, request, ErrorCode.BadRequest);
    return;
  }

  const result = allowedPeer(core, allocation, message.method, peer.ip);
  if (!result.ok) {
    refuse(core, request, result.code);
    return;
  }
  const { relay, decision } = result.peer;
  if (!allowsPort(decision.ports, peer.port)) {
    peerDenied(core, allocation, message.method, peer.ip, `port ${peer.port}`);
    refuse(core, request, ErrorCode.Forbidden);
    return;
  }
  const full = bound === undefined && allocation.channels.size >= core.config.limits.channelsPerAllocation;
  if (full || !hasRoomForPermissions(core, allocation, [result.peer], now)) {
    refuse(core, request, ErrorCode.InsufficientCapacity);
    return;
  }
  // A new port of a known peer is a new peer, too: otherwise one permission would do for a scan of all ports.
  const newPort = bound === undefined && relay.permissions.has(peer.ip);
  if (newPort && !takeNewPeers(core, allocation, 1, now)) {
    refuse(core, request, ErrorCode.InsufficientCapacity);
    return;
  }
  installPermission(core, result.peer, now);
  installChannel(core, relay, number, peer, decision.wireIp, now);
  succeed(core, request, []);
}

/** Whether the number is a channel's, by the RFC that the client was written for. */
function mayBind(core: Core, { message }: AuthenticatedRequest, number: number): boolean {
  const legacy = core.config.rfc5766Channels && !message.has(Attr.PasswordAlgorithm);
  return legacy ? isRfc5766ChannelNumber(number) : isChannelNumber(number);
}
