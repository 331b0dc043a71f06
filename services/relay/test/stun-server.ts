import dgram from "node:dgram";
import { once } from "node:events";
import { Attr, attribute, decodeMessage, encodeMessage, MessageClass, Method } from "@culvert/stun";
import { later } from "./harness.ts";

export interface MappingServer {
  /** `host:port` */
  readonly name: string;
  /** What it tells clients from now on; undefined: nothing. */
  sees: string | undefined;
  /** How many more questions it answers. Default: all. */
  answers: number;
}

/** A STUN server that sees its clients where it is told: behind a NAT that is not there. */
export async function startMappingServer(sees: string | undefined): Promise<MappingServer> {
  const socket = dgram.createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  later(() => socket.close());
  const server = { name: `127.0.0.1:${socket.address().port}`, sees, answers: Number.POSITIVE_INFINITY };
  socket.on("message", (bytes, from) => {
    const decoded = decodeMessage(bytes);
    if (!decoded.ok || decoded.message.method !== Method.Binding) return;
    if (server.sees === undefined || server.answers === 0) return;
    server.answers--;
    const answer = encodeMessage({
      method: Method.Binding,
      class: MessageClass.Success,
      transactionId: decoded.message.transactionId,
      attributes: [attribute(Attr.XorMappedAddress, { ip: server.sees, port: from.port })],
    });
    socket.send(answer, from.port, from.address);
  });
  return server;
}
