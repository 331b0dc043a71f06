import { once } from "node:events";
import WebSocket from "ws";
import { atEnd } from "./cleanup.ts";

export interface SignalingMessage {
  readonly type: string;
  readonly seq: number;
  readonly id?: string;
  readonly from?: string;
  readonly room?: string;
  readonly data: Readonly<Record<string, unknown>>;
}

const TIMEOUT_MS = 60_000;
const SUBPROTOCOL = "culvert.signaling.v1";

/** A session of the signaling service over the wire protocol, without a library of ours in between. */
export class SignalingClient {
  readonly #socket: WebSocket;
  readonly #handlers = new Set<(message: SignalingMessage) => void>();
  readonly #kept: SignalingMessage[] = [];
  #sent = 0;
  #received = 0;
  #resumeToken = "";
  /** `<user>/<session id>`. */
  address = "";

  /** Connects and says hello with a token. */
  static open(url: string, token: string): Promise<SignalingClient> {
    return SignalingClient.#hello(url, { auth: token });
  }

  /** The same session over another connection, with all that was not received yet. */
  async resume(url: string): Promise<SignalingClient> {
    const data = { resume: this.#resumeToken, lastSeq: this.#received };
    return SignalingClient.#hello(url, data, { sent: this.#sent, received: this.#received });
  }

  static async #hello(url: string, hello: object, progress = { sent: 0, received: 0 }): Promise<SignalingClient> {
    const socket = new WebSocket(url, SUBPROTOCOL);
    atEnd(() => socket.terminate());
    const client = new SignalingClient(socket);
    await once(socket, "open", { signal: AbortSignal.timeout(TIMEOUT_MS) });
    await client.next("welcome");
    client.#sent = progress.sent;
    client.#received = progress.received;
    client.#write({ type: "hello", seq: 0, data: hello });
    const { data } = await client.next("hello");
    client.address = String(data.address);
    client.#resumeToken = String(data.resumeToken);
    return client;
  }

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (raw) => this.#take(JSON.parse(raw.toString())));
    socket.on("error", () => {});
  }

  send(type: string, data: object, route: { readonly to?: string; readonly room?: string } = {}): void {
    this.#sent += 1;
    this.#write({ type, seq: this.#sent, ...route, data });
  }

  /** Calls `handler` with all messages of this type, those that have come included. */
  on(type: string, handler: (message: SignalingMessage) => void): void {
    for (const message of this.#kept) if (message.type === type) handler(message);
    this.#handlers.add((message) => message.type === type && handler(message));
  }

  /** The first message of this type that was not taken by `next` before. */
  next(type: string): Promise<SignalingMessage> {
    const index = this.#kept.findIndex((message) => message.type === type);
    const [kept] = index < 0 ? [] : this.#kept.splice(index, 1);
    if (kept) return Promise.resolve(kept);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#handlers.delete(look);
        const seen = this.#kept.map((message) => JSON.stringify(message)).join("\n");
        reject(new Error(`no '${type}' within ${TIMEOUT_MS} ms; there were:\n${seen}`));
      }, TIMEOUT_MS);
      const look = (message: SignalingMessage): void => {
        if (message.type !== type) return;
        clearTimeout(timer);
        this.#handlers.delete(look);
        this.#kept.splice(this.#kept.indexOf(message), 1);
        resolve(message);
      };
      this.#handlers.add(look);
    });
  }

  /** Breaks the connection, as a network does. */
  drop(): void {
    this.#socket.terminate();
  }

  async close(): Promise<void> {
    if (this.#socket.readyState === WebSocket.CLOSED) return;
    this.#socket.close();
    await once(this.#socket, "close");
  }

  #take(message: SignalingMessage): void {
    if (message.seq > 0) {
      this.#received = message.seq;
      this.#write({ type: "ack", seq: 0, data: {} });
    }
    this.#kept.push(message);
    for (const handler of [...this.#handlers]) handler(message);
  }

  #write(message: object): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    this.#socket.send(JSON.stringify({ v: 1, ack: this.#received, ...message }));
  }
}
