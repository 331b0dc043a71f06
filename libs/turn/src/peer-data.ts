import {
  Attr,
  attribute,
  encodeChannelData,
  encodeMessage,
  MessageClass,
  Method,
  writeDataIndication,
} from "@culvert/stun";
import type { Relay } from "./allocation.ts";
import { takeBytes } from "./client-data.ts";
import type { Core } from "./core.ts";
import type { IcmpError, Millis, PeerAddress } from "./io.ts";
import { allowsPort } from "./peer-guard.ts";
import { addressKey } from "./tuple.ts";

/** No datagram is longer, and with its header a Data indication has to fit 16 bits of length. */
const MAX_PEER_DATA = 65_400;

/** A datagram from a peer (RFC 8656 sections 11.3 and 12.7). */
export function handlePeerData(core: Core, relay: Relay, from: PeerAddress, bytes: Uint8Array, now: Millis): void {
  const peer = permittedPeer(core, relay, from);
  if (peer === undefined) {
    core.out.dropped("no-permission");
    return;
  }
  if (bytes.length > MAX_PEER_DATA) {
    core.out.dropped("malformed");
    return;
  }
  const next = takeBytes(relay, relay.toClientEmptyAt, bytes.length, now);
  if (next === undefined) {
    core.out.dropped("bandwidth");
    return;
  }
  relay.toClientEmptyAt = next;
  const { client, listener, channelsByPeer } = relay.allocation;
  const channel = channelsByPeer.get(addressKey(peer));
  const padded = listener.transport === "tcp" || listener.transport === "tls";
  core.out.push({
    type: "send",
    to: "client",
    client,
    bytes:
      channel === undefined
        ? writeDataIndication(peer, bytes, core.random.bytes(12))
        : encodeChannelData(channel.number, bytes, { padded }),
  });
}

/** An ICMP error for a datagram to a peer: a Data indication with ICMP in place of DATA (RFC 8656 section 11.5). */
export function handlePeerIcmp(core: Core, relay: Relay, to: PeerAddress, icmp: IcmpError): void {
  const peer = permittedPeer(core, relay, to);
  if (peer === undefined) {
    core.out.dropped("no-permission");
    return;
  }
  if (!isByte(icmp.type) || !isByte(icmp.code)) {
    core.out.dropped("malformed");
    return;
  }
  const data = icmp.data >= 0 && icmp.data <= 0xffffffff ? Math.trunc(icmp.data) : 0;
  core.out.event({ type: "event", name: "peer-error", relay: relay.socket.id, peer, icmp });
  core.out.push({
    type: "send",
    to: "client",
    client: relay.allocation.client,
    bytes: encodeMessage({
      method: Method.Data,
      class: MessageClass.Indication,
      transactionId: core.random.bytes(12),
      attributes: [
        attribute(Attr.XorPeerAddress, peer),
        attribute(Attr.Icmp, { type: icmp.type, code: icmp.code, data }),
      ],
    }),
  });
}

/** The peer as the client knows it, if it may exchange data with the relay. */
function permittedPeer(core: Core, relay: Relay, wire: PeerAddress): PeerAddress | undefined {
  const ip = core.guard.knownIps(wire.ip).findLast((known) => relay.permissions.has(known));
  const permission = ip === undefined ? undefined : relay.permissions.get(ip);
  if (permission === undefined || !allowsPort(permission.ports, wire.port)) return undefined;
  return { ip: permission.ip, port: wire.port };
}

function isByte(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 255;
}
