import { Attr, type ChannelData, familyOf } from "@culvert/stun";
import type { Allocation, Permission, Relay } from "./allocation.ts";
import type { Core } from "./core.ts";
import type { ClientTuple, Millis, PeerAddress } from "./io.ts";
import { allowsPort } from "./peer-guard.ts";
import { take } from "./rate-limit.ts";
import type { Request } from "./request.ts";

/** A Send indication (RFC 8656 section 11.2). It is dropped without a word where anything is wrong with it. */
export function handleSend(core: Core, request: Request): void {
  const { message, client, now } = request;
  const peer = message.get(Attr.XorPeerAddress);
  const data = message.get(Attr.Data);
  if (peer === undefined || data === undefined) {
    core.out.dropped("malformed");
    return;
  }
  const allocation = core.allocations.get(client);
  if (allocation === undefined) {
    core.out.dropped("no-allocation");
    return;
  }
  core.allocations.heard(allocation, client);
  sendToPeer(core, allocation, peer, data, message.has(Attr.DontFragment), now);
}

/** ChannelData from a client (RFC 8656 section 12.6). */
export function handleChannelData(core: Core, client: ClientTuple, channelData: ChannelData, now: Millis): void {
  const allocation = core.allocations.get(client);
  if (allocation === undefined) {
    core.out.dropped("no-allocation");
    return;
  }
  core.allocations.heard(allocation, client);
  const channel = allocation.channels.get(channelData.channel);
  if (channel === undefined) {
    core.out.dropped("no-channel");
    return;
  }
  sendToPeer(core, allocation, channel.peer, channelData.data, false, now);
}

function sendToPeer(
  core: Core,
  allocation: Allocation,
  peer: PeerAddress,
  data: Uint8Array,
  dontFragment: boolean,
  now: Millis,
): void {
  const relay = allocation.relays.get(familyOf(peer.ip));
  const permission = relay?.permissions.get(peer.ip);
  if (relay === undefined || permission === undefined) {
    core.out.dropped("no-permission");
    return;
  }
  if (!allowsPort(permission.ports, peer.port)) {
    core.out.dropped("forbidden-peer");
    return;
  }
  const next = takeBytes(relay, relay.toPeersEmptyAt, data.length, now);
  if (next === undefined) {
    core.out.dropped("bandwidth");
    return;
  }
  relay.toPeersEmptyAt = next;
  core.out.push({
    type: "send",
    to: "peer",
    relay: relay.socket.id,
    peer: onTheWire(permission, peer),
    bytes: data,
    ...(dontFragment ? { dontFragment } : {}),
  });
}

/** Takes bytes from the rate that the credential allows, one second's worth at once. */
export function takeBytes(relay: Relay, emptyAt: Millis, bytes: number, now: Millis): Millis | undefined {
  const { maxBps } = relay.allocation.claims;
  return maxBps === undefined ? emptyAt : take(emptyAt, { perSecond: maxBps, burst: maxBps }, bytes, now);
}

function onTheWire(permission: Permission, peer: PeerAddress): PeerAddress {
  return permission.wireIp === undefined ? peer : { ip: permission.wireIp, port: peer.port };
}
