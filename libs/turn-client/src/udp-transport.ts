import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { familyOf } from "@culvert/stun";
import { refused } from "./errors.ts";
import type { Endpoint, Transport, TransportEvents, TransportOptions } from "./transport.ts";

/** Room for a burst while the event loop is busy; the kernel caps it at its own limit. */
const RECEIVE_BUFFER = 1 << 20;

/** A connected UDP socket: the kernel drops what others send, and reports ICMP errors. */
export async function openUdp(
  endpoint: Endpoint,
  options: TransportOptions,
  events: TransportEvents,
): Promise<Transport> {
  const { address: remote } = endpoint;
  const type = familyOf(remote.ip) === 6 ? "udp6" : "udp4";
  const socket = createSocket({ type, recvBufferSize: RECEIVE_BUFFER });
  try {
    socket.bind(options.localPort ?? 0, options.localAddress);
    await once(socket, "listening");
    socket.connect(remote.port, remote.ip);
    await once(socket, "connect");
  } catch (cause) {
    socket.close();
    throw refused(remote, cause);
  }
  socket.on("message", (datagram) => events.onFrame(datagram));
  socket.on("error", (cause) => events.onUnreachable(refused(remote, cause)));
  return transportOf(socket, endpoint, events);
}

function transportOf(socket: Socket, { kind, address: remote }: Endpoint, events: TransportEvents): Transport {
  const bound = socket.address();
  let closed = false;
  return {
    kind,
    remote,
    local: { ip: bound.address, port: bound.port },
    send(bytes) {
      if (closed) return true;
      socket.send(bytes, (cause) => {
        if (cause && !closed) events.onUnreachable(refused(remote, cause));
      });
      return true;
    },
    drained: () => Promise.resolve(),
    async close() {
      if (closed) return;
      closed = true;
      const done = once(socket, "close");
      socket.close();
      await done;
    },
  };
}
