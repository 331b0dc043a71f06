import dgram from "node:dgram";
import { once } from "node:events";
import {
  Attr,
  type EncodedAttribute,
  encodeMessage,
  MessageClass,
  Method,
  type StunMessage,
  type TransportAddress,
} from "@culvert/stun";
import { mustDecode, outcomeOf, type RequestChanges, StunSession, seededRandom } from "@culvert/testkit";
import { later, type TestRelay, USER } from "./harness.ts";
import { FOR_CONTROL_LOOP } from "./requests.ts";

let seed = 1;

/** Where a listener is reached from an address of the same family. */
export function listenerOf(relay: TestRelay, transport: "udp" | "tcp", from = "127.0.0.1"): TransportAddress {
  const v6 = from.includes(":");
  const found = relay.info.listeners.find((one) => one.transport === transport && one.ip.includes(":") === v6);
  if (found === undefined) throw new Error(`no ${transport} listener for ${from}`);
  return { ip: ["0.0.0.0", "::"].includes(found.ip) ? (v6 ? "::1" : "127.0.0.1") : found.ip, port: found.port };
}

export interface WireOptions {
  /** The source address. Default 127.0.0.1. */
  readonly ip?: string;
  readonly username?: string;
  readonly password?: string;
  readonly dialect?: "rfc5389" | "rfc8489";
}

export interface WireAnswer {
  readonly outcome: "success" | number | "none";
  readonly message?: StunMessage;
}

/** A UDP socket that sends a relay what it is told to, well-behaved or not. */
export class Wire {
  readonly session: StunSession;
  readonly #socket: dgram.Socket;
  readonly #received: Buffer[] = [];
  #to: TransportAddress;

  private constructor(socket: dgram.Socket, to: TransportAddress, options: WireOptions) {
    const { dialect = "rfc5389" } = options;
    this.#socket = socket;
    this.#to = to;
    this.session = new StunSession({ ...USER, ...options, dialect, random: seededRandom(seed++) });
    socket.on("message", (message) => void this.#received.push(message));
  }

  static async open(relay: TestRelay, options: WireOptions = {}): Promise<Wire> {
    const { ip = "127.0.0.1" } = options;
    const socket = dgram.createSocket(ip.includes(":") ? "udp6" : "udp4");
    later(() => new Promise<void>((resolve) => socket.close(() => resolve())));
    socket.bind(0, ip);
    await once(socket, "listening");
    return new Wire(socket, listenerOf(relay, "udp", ip), options);
  }

  /** From now on, from the same address, another relay is talked to. */
  to(relay: TestRelay): this {
    this.#to = listenerOf(relay, "udp", this.#to.ip);
    return this;
  }

  get address(): TransportAddress {
    const { address, port } = this.#socket.address();
    return { ip: address, port };
  }

  send(bytes: Uint8Array): void {
    this.#socket.send(bytes, this.#to.port, this.#to.ip);
  }

  /** All that came since the last time, at least one message. */
  async arrival(): Promise<readonly Buffer[]> {
    if (this.#received.length === 0) await once(this.#socket, "message");
    return this.#received.splice(0);
  }

  /** All that came since the last time, once the relay has dealt with everything that was sent before. */
  async settled(): Promise<readonly Buffer[]> {
    const transactionId = this.session.transactionId();
    const attributes = [FOR_CONTROL_LOOP];
    this.send(encodeMessage({ method: Method.Binding, class: MessageClass.Request, transactionId, attributes }));
    const isFence = (bytes: Buffer): boolean => bytes.subarray(8, 20).equals(transactionId);
    while (!this.#received.some(isFence)) await once(this.#socket, "message");
    return this.#received.splice(0).filter((bytes) => !isFence(bytes));
  }

  /** The answer to a request, however long it takes. */
  async ask(bytes: Uint8Array): Promise<WireAnswer> {
    this.send(bytes);
    for (;;) {
      const answer = this.#answerTo(bytes, this.#received);
      if (answer !== undefined) return answer;
      await once(this.#socket, "message");
    }
  }

  /** The answer to a request that the relay may keep silent on. It is one that the relay needs no time for. */
  async tryAsk(bytes: Uint8Array): Promise<WireAnswer> {
    this.send(bytes);
    return this.#answerTo(bytes, await this.settled()) ?? { outcome: "none" };
  }

  #answerTo(request: Uint8Array, received: readonly Buffer[]): WireAnswer | undefined {
    const answer = received.find((one) => one.subarray(8, 20).equals(request.subarray(8, 20)));
    if (answer === undefined) return undefined;
    const message = mustDecode(answer);
    return { outcome: outcomeOf(message) ?? "none", message };
  }

  /** Gets a nonce. */
  async challenge(): Promise<WireAnswer> {
    const answer = await this.ask(this.session.bare(Method.Allocate));
    if (answer.message === undefined || !this.session.learn(answer.message)) throw new Error("no challenge");
    return answer;
  }

  /** An authenticated request. Gets a nonce first where there is none. */
  async request(
    method: number,
    attributes: readonly EncodedAttribute[] = [],
    changes: RequestChanges = {},
  ): Promise<WireAnswer> {
    if (this.session.challenge === undefined) await this.challenge();
    return this.ask(this.session.request(method, attributes, changes));
  }

  indicate(method: number, attributes: readonly EncodedAttribute[]): void {
    this.send(this.session.indication(method, attributes));
  }
}

export function relayedOf({ message, outcome }: WireAnswer): TransportAddress {
  const relayed = message?.get(Attr.XorRelayedAddress);
  if (relayed === undefined) throw new Error(`no relayed address: ${outcome}`);
  return relayed;
}
