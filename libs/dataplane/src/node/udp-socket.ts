import dgram from "node:dgram";
import type { TransportAddress } from "@culvert/stun";
import type { DropReason } from "../port.ts";

export interface UdpSocketOptions {
  readonly local: TransportAddress;
  /** SO_RCVBUF and SO_SNDBUF, in bytes. */
  readonly recvBufferSize: number;
  readonly sendBufferSize: number;
  /** Bytes that may wait in user space. */
  readonly queueBytes: number;
  readonly onMessage: (bytes: Buffer, ip: string, port: number) => void;
  /** A send that the kernel refused. */
  readonly onSendFailed: () => void;
}

/** The addresses are numeric: a lookup that only passes them through lets `send` and `bind` finish in the same call. */
const passThrough =
  (family: number) =>
  (
    address: string,
    _options: unknown,
    callback: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
  ): void =>
    callback(null, address, family);
const LOOKUP4 = passThrough(4);
const LOOKUP6 = passThrough(6);

/** A bound datagram socket for numeric addresses. IPv6 sockets are IPv6 only. */
export class UdpSocket {
  readonly #socket: dgram.Socket;
  readonly #queueBytes: number;
  readonly #afterSend: (error: Error | null) => void;
  #open = false;
  #closed: Promise<void> | undefined;

  /** Calls `opened` once, at once or later: with an error if the socket could not be bound. */
  constructor(options: UdpSocketOptions, opened: (error?: NodeJS.ErrnoException) => void) {
    const { local, onMessage, onSendFailed } = options;
    const v6 = local.ip.includes(":");
    this.#queueBytes = options.queueBytes;
    this.#afterSend = (error) => {
      if (error) onSendFailed();
    };
    this.#socket = dgram.createSocket({ type: v6 ? "udp6" : "udp4", ipv6Only: v6, lookup: v6 ? LOOKUP6 : LOOKUP4 });
    this.#socket.on("message", (bytes, from) => onMessage(bytes, from.address, from.port));
    this.#socket.once("listening", () => {
      this.#open = true;
      // The kernel may be set to allow less than asked for, or on some systems refuse: the default then stays.
      tryTo(() => this.#socket.setRecvBufferSize(options.recvBufferSize));
      tryTo(() => this.#socket.setSendBufferSize(options.sendBufferSize));
      opened();
    });
    this.#socket.on("error", (error) => {
      // Once open these are errors of a single receive, and the socket goes on.
      if (this.#open || this.#closed !== undefined) return;
      this.close();
      opened(error);
    });
    this.#socket.bind({ address: local.ip, port: local.port, exclusive: true });
  }

  get open(): boolean {
    return this.#open;
  }

  get local(): TransportAddress {
    const { address, port } = this.#socket.address();
    return { ip: address, port };
  }

  send(bytes: Uint8Array, ip: string, port: number): DropReason | undefined {
    if (!this.#open || port === 0) return "send-failed";
    if (this.#socket.getSendQueueSize() > this.#queueBytes) return "back-pressure";
    this.#socket.send(bytes, port, ip, this.#afterSend);
    return undefined;
  }

  close(): Promise<void> {
    this.#open = false;
    this.#closed ??= new Promise((resolve) => {
      this.#socket.close(() => resolve());
    });
    return this.#closed;
  }
}

function tryTo(action: () => void): void {
  try {
    action();
  } catch {
    // See the caller.
  }
}
