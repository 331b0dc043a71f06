import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import type { Stage } from "./stage.ts";

interface Target {
  readonly ip: string;
  readonly port: number;
}

const BUFFER = 4 << 20;

/**
 * A load balancer for UDP: each client has a source address of its own towards the relays, whichever of them its packets are
 * sent to.
 */
export class UdpBalancer {
  readonly port: number;
  readonly ip: string;
  readonly #front: Socket;
  readonly #clients = new Map<string, Promise<Socket>>();
  #target: Target;

  static async open(stage: Stage, ip: string, target: Target): Promise<UdpBalancer> {
    const front = createSocket({ type: "udp4", recvBufferSize: BUFFER });
    front.bind(0, ip);
    await once(front, "listening");
    const balancer = new UdpBalancer(front, target);
    stage.atEnd(() => balancer.close());
    return balancer;
  }

  private constructor(front: Socket, target: Target) {
    this.#front = front;
    this.#target = target;
    const { address, port } = front.address();
    this.ip = address;
    this.port = port;
    front.on("error", () => {});
    front.on("message", (bytes, from) => {
      void this.#socketOf(from).then((socket) => socket.send(bytes, this.#target.port, this.#target.ip, () => {}));
    });
  }

  /** From now on all packets of all clients go there. */
  turnTo(target: Target): void {
    this.#target = target;
  }

  async close(): Promise<void> {
    this.#front.close();
    for (const socket of this.#clients.values()) (await socket).close();
  }

  #socketOf(client: { readonly address: string; readonly port: number }): Promise<Socket> {
    const key = `${client.address}:${client.port}`;
    const known = this.#clients.get(key);
    if (known !== undefined) return known;
    const opening = (async () => {
      const socket = createSocket({ type: "udp4", recvBufferSize: BUFFER });
      socket.on("error", () => {});
      socket.on("message", (bytes) => this.#front.send(bytes, client.port, client.address, () => {}));
      socket.bind(0, this.ip);
      await once(socket, "listening");
      return socket;
    })();
    this.#clients.set(key, opening);
    return opening;
  }
}
