import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";
import { StreamFramer, type TransportAddress } from "@culvert/stun";
import { Inbox } from "./inbox.ts";

export interface ConnectOptions {
  readonly tls?: tls.ConnectionOptions;
  readonly localPort?: number;
}

/** This process's own, so that no other one takes a port that a test wants to come from again. */
const OWN_LOOPBACK = `127.${1 + (process.pid % 250)}.${(process.pid >> 8) % 256}.1`;

/** A client on a TCP or TLS connection. */
export class StreamEndpoint {
  readonly address: TransportAddress;
  readonly socket: net.Socket;
  readonly frames: Inbox<Buffer> = new Inbox();
  /** When the other side has ended or reset the connection. */
  readonly ended: Promise<void>;

  private constructor(socket: net.Socket) {
    this.socket = socket;
    const { localAddress: ip, localPort: port } = socket;
    if (ip === undefined || port === undefined) throw new Error("the connection is gone already");
    this.address = { ip, port };
    const framer = new StreamFramer();
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      for (const frame of framer.push(chunk).frames) this.frames.push(Buffer.from(frame));
    });
    this.ended = new Promise((resolve) => {
      socket.once("end", resolve);
      socket.once("close", () => resolve());
    });
  }

  static async connect(to: TransportAddress, options: ConnectOptions = {}): Promise<StreamEndpoint> {
    const { localPort } = options;
    const target = {
      host: to.ip,
      port: to.port,
      allowHalfOpen: true,
      // Without an address the port would have to be free on all of them.
      localAddress: to.ip === "127.0.0.1" ? OWN_LOOPBACK : to.ip,
      ...(localPort === undefined ? {} : { localPort }),
    };
    const socket =
      options.tls === undefined
        ? net.connect(target)
        : tls.connect({ ...target, rejectUnauthorized: false, ...options.tls });
    await once(socket, options.tls === undefined ? "connect" : "secureConnect");
    return new StreamEndpoint(socket);
  }

  get tlsSocket(): tls.TLSSocket {
    if (this.socket instanceof tls.TLSSocket) return this.socket;
    throw new Error("not a TLS connection");
  }

  /** Resolves when it is written. */
  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.socket.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }

  next(): Promise<Buffer> {
    return this.frames.next();
  }

  destroy(): void {
    this.socket.destroy();
  }
}
