import { randomBytes } from "node:crypto";
import {
  encodeChannelData,
  encodeMessage,
  MessageClass,
  Method,
  readDataIndication,
  type TransportAddress,
  writeSendIndication,
} from "@culvert/stun";

export const binding = (): Buffer =>
  Buffer.from(
    encodeMessage({
      method: Method.Binding,
      class: MessageClass.Request,
      transactionId: randomBytes(12),
      fingerprint: true,
    }),
  );

export const send = (peer: TransportAddress, data: string | Uint8Array): Uint8Array =>
  writeSendIndication(peer, bytesOf(data), randomBytes(12));

export const channelData = (channel: number, data: string | Uint8Array): Uint8Array =>
  encodeChannelData(channel, bytesOf(data));

/** As it goes over a stream. */
export const paddedChannelData = (channel: number, data: string | Uint8Array): Uint8Array =>
  encodeChannelData(channel, bytesOf(data), { padded: true });

export function dataIndication(
  bytes: Uint8Array,
): { readonly peer: TransportAddress; readonly data: string } | undefined {
  const indication = readDataIndication(bytes);
  return indication && { peer: indication.peer, data: Buffer.from(indication.data).toString() };
}

function bytesOf(data: string | Uint8Array): Uint8Array {
  return typeof data === "string" ? Buffer.from(data) : data;
}
