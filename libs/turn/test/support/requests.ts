import { Attr, attribute, type EncodedAttribute, Method, type TransportAddress } from "@culvert/stun";
import type { RequestChanges } from "@culvert/testkit";
import type { LabClient, Reply } from "./lab.ts";

export const UDP_TRANSPORT: EncodedAttribute = attribute(Attr.RequestedTransport, 17);
export const ENC = new TextEncoder();

export function allocate(
  client: LabClient,
  attributes: readonly EncodedAttribute[] = [],
  changes: RequestChanges = {},
): Reply {
  return client.request(Method.Allocate, [UDP_TRANSPORT, ...attributes], changes);
}

export function refresh(client: LabClient, lifetime?: number, extra: readonly EncodedAttribute[] = []): Reply {
  return client.request(Method.Refresh, [
    ...(lifetime === undefined ? [] : [attribute(Attr.Lifetime, lifetime)]),
    ...extra,
  ]);
}

export function createPermission(client: LabClient, ...ips: string[]): Reply {
  return client.request(
    Method.CreatePermission,
    ips.map((ip) => attribute(Attr.XorPeerAddress, { ip, port: 0 })),
  );
}

export function channelBind(client: LabClient, channel: number, peer: TransportAddress): Reply {
  return client.request(Method.ChannelBind, [
    attribute(Attr.ChannelNumber, channel),
    attribute(Attr.XorPeerAddress, peer),
  ]);
}

export function sendAttributes(peer: TransportAddress, data: Uint8Array): readonly EncodedAttribute[] {
  return [attribute(Attr.XorPeerAddress, peer), attribute(Attr.Data, data)];
}

/** The relayed address of an Allocate success response. */
export function relayedOf(reply: Reply): TransportAddress {
  const relayed = reply.message?.get(Attr.XorRelayedAddress);
  if (relayed === undefined) throw new Error(`no relayed address: ${reply.outcome}`);
  return relayed;
}

/** The mobility ticket of a success response. */
export function ticketOf(reply: Reply): Uint8Array {
  const ticket = reply.message?.get(Attr.MobilityTicket);
  if (ticket === undefined) throw new Error(`no ticket: ${reply.outcome}`);
  return ticket.slice();
}
