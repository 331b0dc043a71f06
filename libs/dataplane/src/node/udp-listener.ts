import type { TransportAddress } from "@culvert/stun";
import type { ClientAddress } from "@culvert/turn";
import type { DropReason, ListenerSpec } from "../port.ts";
import type { Client } from "./client.ts";
import { listenError } from "./listen-error.ts";
import { type Listener, type ListenerContext, takeMessage } from "./listener.ts";
import { UdpSocket } from "./udp-socket.ts";

/** Clients over UDP. There is no state per client here: whoever sends a datagram is one. */
export class UdpListener implements Listener {
  readonly stream: boolean = false;
  readonly #spec: ListenerSpec;
  readonly #socket: UdpSocket;

  private constructor(context: ListenerContext, opened: (error?: NodeJS.ErrnoException) => void) {
    const { spec, limits, clients, tally } = context;
    this.#spec = spec;
    this.#socket = new UdpSocket(
      {
        local: spec.local,
        recvBufferSize: limits.recvBufferSize,
        sendBufferSize: limits.sendBufferSize,
        queueBytes: limits.datagramQueueBytes,
        onMessage: (bytes, ip, port) => {
          takeMessage(context, bytes, ip, port, clients.get(ip, port));
        },
        onSendFailed: () => tally.drop("send-failed"),
      },
      opened,
    );
  }

  static open(context: ListenerContext): Promise<UdpListener> {
    return new Promise((resolve, reject) => {
      const listener: UdpListener = new UdpListener(context, (error) => {
        // The socket may be bound before its constructor returns.
        queueMicrotask(() => (error === undefined ? resolve(listener) : reject(error)));
      });
    });
  }

  get local(): TransportAddress {
    return this.#socket.local;
  }

  send(to: ClientAddress, bytes: Uint8Array): DropReason | undefined {
    return this.#socket.send(bytes, to.ip, to.port);
  }

  relay(client: Client, bytes: Uint8Array): DropReason | undefined {
    const { ip, port } = client.tuple.remote;
    return this.#socket.send(bytes, ip, port);
  }

  closeClient(): void {}

  setCertificate(): void {
    throw listenError(this.#spec, "takes no certificate");
  }

  close(): Promise<void> {
    return this.#socket.close();
  }
}
