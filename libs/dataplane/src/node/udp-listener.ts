import type { TransportAddress } from "@culvert/stun";
import type { ClientAddress } from "@culvert/turn";
import type { DropReason, ListenerSpec } from "../port.ts";
import { listenError } from "./listen-error.ts";
import type { Listener, ListenerContext } from "./listener.ts";
import { UdpSocket } from "./udp-socket.ts";

/** Clients over UDP. There is no state per client here: whoever sends a datagram is one. */
export class UdpListener implements Listener {
  readonly stream: boolean = false;
  readonly #spec: ListenerSpec;
  readonly #socket: UdpSocket;

  private constructor(context: ListenerContext, opened: (error?: NodeJS.ErrnoException) => void) {
    const { spec, limits, tally, take } = context;
    this.#spec = spec;
    this.#socket = new UdpSocket(
      {
        local: spec.local,
        recvBufferSize: limits.recvBufferSize,
        sendBufferSize: limits.sendBufferSize,
        queueBytes: limits.datagramQueueBytes,
        onMessage: take,
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

  serves(): boolean {
    return false;
  }

  send(to: ClientAddress, bytes: Uint8Array): DropReason | undefined {
    return this.#socket.send(bytes, to.ip, to.port);
  }

  relay(to: ClientAddress, bytes: Uint8Array): DropReason | undefined {
    return this.#socket.send(bytes, to.ip, to.port);
  }

  closeClient(): void {}

  setCertificate(): void {
    throw listenError(this.#spec, "takes no certificate");
  }

  close(): Promise<void> {
    return this.#socket.close();
  }
}
