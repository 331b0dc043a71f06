import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import {
  Attr,
  attribute,
  decodeMessage,
  type EncodedAttribute,
  encodeMessage,
  longTermKey,
  MessageClass,
  type MessageIntegrity,
  StreamFramer,
  type StunMessage,
} from "@culvert/stun";
import { nodeCrypto } from "@culvert/testkit";
import { type ConnectOptions, connectTurn, type Timers, type TurnClient } from "@culvert/turn-client";
import { afterEach } from "vitest";

export const USERNAME = "1900000000:alice";
export const PASSWORD = "secret";
export const REALM = "example.org";
export const NONCE = "f00d";

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Time that passes only when the test says so. */
export class ManualTimers implements Timers {
  #now = 0;
  readonly #due = new Set<{ readonly at: number; readonly callback: () => void }>();

  schedule(delayMs: number, callback: () => void): () => void {
    const entry = { at: this.#now + delayMs, callback };
    this.#due.add(entry);
    return () => this.#due.delete(entry);
  }

  get pending(): number {
    return this.#due.size;
  }

  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const [next] = [...this.#due].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (!next) break;
      this.#due.delete(next);
      this.#now = next.at;
      next.callback();
    }
    this.#now = end;
  }
}

export interface ReplyInit {
  readonly class?: MessageClass;
  readonly attributes?: readonly EncodedAttribute[];
  readonly integrity?: MessageIntegrity;
}

/** What the server got, and a way to answer it. */
export interface Received {
  readonly bytes: Uint8Array;
  readonly message: StunMessage;
  /** Answers the request; a success by default. */
  reply(init?: ReplyInit): void;
  /** Sends bytes back to where this came from. */
  send(bytes: Uint8Array): void;
}

/** A server that does nothing by itself: the test takes what comes and says what to answer. */
export class ScriptedServer {
  readonly uri: string;
  readonly port: number;
  /** Streams only: ends the connections. */
  readonly disconnect: () => void;
  readonly #queue: Received[] = [];
  readonly #waiting: ((received: Received) => void)[] = [];

  private constructor(port: number, transport: "udp" | "tcp", disconnect: () => void) {
    this.port = port;
    this.uri = `turn:127.0.0.1:${port}?transport=${transport}`;
    this.disconnect = disconnect;
  }

  static async udp(): Promise<ScriptedServer> {
    const socket = createSocket("udp4");
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    const server = new ScriptedServer(socket.address().port, "udp", () => {});
    socket.on("message", (bytes, from) => {
      server.#take(bytes, (answer) => socket.send(answer, from.port, from.address));
    });
    cleanups.push(() => socket.close());
    return server;
  }

  static async tcp(): Promise<ScriptedServer> {
    const listener = createServer();
    const connections = new Set<Socket>();
    listener.listen(0, "127.0.0.1");
    await once(listener, "listening");
    const address = listener.address();
    const port = typeof address === "object" && address ? address.port : 0;
    const server = new ScriptedServer(port, "tcp", () => {
      for (const connection of connections) connection.destroy();
    });
    listener.on("connection", (connection) => {
      connections.add(connection);
      const framer = new StreamFramer();
      connection.on("error", () => {});
      connection.on("data", (chunk) => {
        for (const frame of framer.push(chunk).frames) server.#take(frame, (answer) => connection.write(answer));
      });
    });
    cleanups.push(() => {
      server.disconnect();
      listener.close();
    });
    return server;
  }

  /** The next message from a client. */
  next(): Promise<Received> {
    const received = this.#queue.shift();
    return received ? Promise.resolve(received) : new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Messages that came and were not taken. */
  get untaken(): number {
    return this.#queue.length;
  }

  /** Answers a request with a challenge and returns the next one, which has to be signed. */
  async challenge(attributes: readonly EncodedAttribute[] = []): Promise<Received> {
    const request = await this.next();
    request.reply(errorReply(401, [attribute(Attr.Realm, REALM), attribute(Attr.Nonce, NONCE), ...attributes]));
    return this.next();
  }

  #take(bytes: Uint8Array, send: (bytes: Uint8Array) => void): void {
    const received = receivedOf(bytes, send);
    const waiting = this.#waiting.shift();
    if (waiting) waiting(received);
    else this.#queue.push(received);
  }
}

function receivedOf(bytes: Uint8Array, send: (bytes: Uint8Array) => void): Received {
  return {
    bytes,
    send,
    get message() {
      const decoded = decodeMessage(bytes);
      if (!decoded.ok) throw new Error(`not a STUN message: ${decoded.reason}`);
      return decoded.message;
    },
    reply(init = {}) {
      const { method, transactionId } = this.message;
      send(encodeMessage({ method, class: MessageClass.Success, transactionId, ...init }));
    },
  };
}

/** An error response with this code, and the given attributes. */
export function errorReply(code: number, attributes: readonly EncodedAttribute[] = []): ReplyInit {
  return {
    class: MessageClass.Error,
    attributes: [attribute(Attr.ErrorCode, { code, reason: `reason ${code}` }), ...attributes],
  };
}

/** The server's signature for the user of these tests. */
export function signature(algorithm: "sha1" | "sha256" = "sha1"): MessageIntegrity {
  const credential = { username: USERNAME, realm: REALM, password: PASSWORD };
  const key = longTermKey({ ...credential, algorithm: algorithm === "sha1" ? "md5" : "sha256" }, nodeCrypto);
  return { key, algorithm, crypto: nodeCrypto };
}

/** What an Allocate success response has to have. */
export const ALLOCATED: readonly EncodedAttribute[] = [
  attribute(Attr.XorRelayedAddress, { ip: "192.0.2.15", port: 50_000 }),
  attribute(Attr.XorMappedAddress, { ip: "192.0.2.1", port: 7000 }),
  attribute(Attr.Lifetime, 600),
];

/**
 * A client of `server` with the credentials of these tests. It is closed when the test ends. Unless the test has timers, no
 * time passes for it: it retransmits nothing, however slow the machine is.
 */
export async function connect(server: ScriptedServer, options: Partial<ConnectOptions> = {}): Promise<TurnClient> {
  const timers = new ManualTimers();
  const client = await connectTurn({ uri: server.uri, username: USERNAME, password: PASSWORD, timers, ...options });
  cleanups.push(() => client.close({ release: false }));
  return client;
}

/** Lets a client allocate, with a challenge first. */
export async function allocated(server: ScriptedServer, client: TurnClient): Promise<void> {
  const allocation = client.allocate();
  (await server.challenge()).reply({ attributes: ALLOCATED, integrity: signature() });
  await allocation;
}
