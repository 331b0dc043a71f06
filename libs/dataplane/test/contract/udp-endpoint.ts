import dgram from "node:dgram";
import { once } from "node:events";
import type { TransportAddress } from "@culvert/stun";
import { expect } from "vitest";
import { Inbox } from "./inbox.ts";

export interface Datagram {
  readonly data: Buffer;
  readonly from: TransportAddress;
}

/** A client, or a peer, on a socket of its own. */
export class UdpEndpoint {
  readonly address: TransportAddress;
  readonly inbox: Inbox<Datagram> = new Inbox();
  readonly #socket: dgram.Socket;

  private constructor(socket: dgram.Socket) {
    this.#socket = socket;
    const { address: ip, port } = socket.address();
    this.address = { ip, port };
    socket.on("message", (data, { address, port }) => this.inbox.push({ data, from: { ip: address, port } }));
  }

  static async open(ip: string, port = 0): Promise<UdpEndpoint> {
    const socket = dgram.createSocket(ip.includes(":") ? "udp6" : "udp4");
    socket.bind(port, ip);
    await once(socket, "listening");
    socket.setRecvBufferSize(4 * 1024 * 1024);
    return new UdpEndpoint(socket);
  }

  /** Resolves when the kernel has it. */
  send(to: TransportAddress, data: Uint8Array | string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.send(data, to.port, to.ip, (error) => (error ? reject(error) : resolve()));
    });
  }

  async next(): Promise<Datagram> {
    return await this.inbox.next();
  }

  /** Sends itself a datagram and sees that nothing was there before it. */
  async expectSilence(): Promise<void> {
    await this.send(this.address, "nothing before this");
    expect((await this.next()).data.toString()).toBe("nothing before this");
  }

  async close(): Promise<void> {
    const closed = once(this.#socket, "close");
    this.#socket.close();
    await closed;
  }
}
