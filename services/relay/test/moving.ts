import { Attr, attribute, decodeChannelData, encodeChannelData, Method } from "@culvert/stun";
import type { Allocation, TurnClient } from "@culvert/turn-client";
import { bytes } from "./harness.ts";

/** Allocates with mobility (RFC 8016 section 3.1.1). The ticket is absent where the relay does not know of it. */
export function allocateMobile(client: TurnClient): Promise<Allocation> {
  return client.allocate({ attributes: [attribute(Attr.MobilityTicket, new Uint8Array(0))] });
}

/** Claims an allocation from this client's address. Resolves to the next ticket. */
export async function claim(client: TurnClient, ticket: Uint8Array): Promise<Uint8Array> {
  const response = await client.request(Method.Refresh, [attribute(Attr.MobilityTicket, ticket)]);
  const next = response.get(Attr.MobilityTicket);
  if (next === undefined) throw new Error("no ticket came back");
  return Uint8Array.from(next);
}

/** A channel that was bound from another address: the client that moved knows it, and its TurnClient does not. */
export function channelOf(client: TurnClient, channel: number) {
  const waiting: ((text: string) => void)[] = [];
  const heard: string[] = [];
  client.onFrame((frame) => {
    const message = decodeChannelData(frame);
    if (message?.channel !== channel) return;
    const text = Buffer.from(message.data).toString();
    const waiter = waiting.shift();
    if (waiter === undefined) heard.push(text);
    else waiter(text);
  });
  return {
    send: (text: string): boolean =>
      client.sendRaw(encodeChannelData(channel, bytes(text), { padded: client.transport !== "udp" })),
    next: (): Promise<string> => {
      const text = heard.shift();
      return text === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(text);
    },
  };
}
