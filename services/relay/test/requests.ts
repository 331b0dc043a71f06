import { Attr, attribute, type EncodedAttribute, rawAttribute, type TransportAddress } from "@culvert/stun";

export const UDP_TRANSPORT: EncodedAttribute = attribute(Attr.RequestedTransport, 17);

/** Nobody knows it and it may be ignored. A Binding request with it is answered by the control loop, on any data plane. */
export const FOR_CONTROL_LOOP: EncodedAttribute = rawAttribute(0xc0de, new Uint8Array());

export const peerAttribute = (peer: TransportAddress): EncodedAttribute => attribute(Attr.XorPeerAddress, peer);

export const sendAttributes = (peer: TransportAddress, data: Uint8Array): readonly EncodedAttribute[] => [
  peerAttribute(peer),
  attribute(Attr.Data, data),
];

export const channelAttributes = (channel: number, peer: TransportAddress): readonly EncodedAttribute[] => [
  attribute(Attr.ChannelNumber, channel),
  peerAttribute(peer),
];
