import { once } from "node:events";
import net from "node:net";
import { type EncodedAttribute, HEADER_LENGTH, type StunMessage } from "@culvert/stun";
import { mustDecode, StunSession, seededRandom } from "@culvert/testkit";
import { later, type TestRelay, USER } from "./harness.ts";
import { listenerOf } from "./wire.ts";

/** A TCP client of a relay that reads byte by byte what comes. */
export class StreamWire {
  readonly session: StunSession = new StunSession({ ...USER, random: seededRandom(1) });
  readonly socket: net.Socket;

  private constructor(socket: net.Socket) {
    this.socket = socket;
  }

  static async open(relay: TestRelay): Promise<StreamWire> {
    const { ip, port } = listenerOf(relay, "tcp");
    const socket = net.connect(port, ip);
    later(() => socket.destroy());
    await once(socket, "connect");
    return new StreamWire(socket);
  }

  /** The next bytes, exactly so many. */
  async read(count: number): Promise<Buffer> {
    for (;;) {
      const bytes: Buffer | null = this.socket.read(count);
      if (bytes !== null) return bytes;
      await once(this.socket, "readable");
    }
  }

  /** An authenticated request, to which the next message has to be the answer. Gets a nonce first where there is none. */
  async request(method: number, attributes: readonly EncodedAttribute[]): Promise<StunMessage> {
    if (this.session.challenge === undefined) this.session.learn(await this.#exchange(this.session.bare(method)));
    return this.#exchange(this.session.request(method, attributes));
  }

  async #exchange(bytes: Uint8Array): Promise<StunMessage> {
    this.socket.write(bytes);
    const header = await this.read(HEADER_LENGTH);
    return mustDecode(Buffer.concat([header, await this.read(header.readUInt16BE(2))]));
  }
}
