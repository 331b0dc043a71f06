import { Attr, attribute, type EncodedAttribute, type TransportAddress } from "@culvert/stun";

export const UDP_TRANSPORT: EncodedAttribute = attribute(Attr.RequestedTransport, 17);

export const peerAttribute = (peer: TransportAddress): EncodedAttribute => attribute(Attr.XorPeerAddress, peer);

export const sendAttributes = (peer: TransportAddress, data: Uint8Array): readonly EncodedAttribute[] => [
  peerAttribute(peer),
  attribute(Attr.Data, data),
];

export const channelAttributes = (channel: number, peer: TransportAddress): readonly EncodedAttribute[] => [
  attribute(Attr.ChannelNumber, channel),
  peerAttribute(peer),
];
