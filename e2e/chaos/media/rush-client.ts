import { randomBytes } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import {
  Attr,
  attribute,
  checkIntegrity,
  decodeMessage,
  type EncodedAttribute,
  ErrorCode,
  encodeMessage,
  longTermKey,
  MessageClass,
  Method,
  PasswordAlgorithmId,
  parseTurnUri,
  type StunMessage,
  TransportProtocol,
} from "@culvert/stun";
import { nodeCrypto } from "@culvert/testkit";

export interface RushClientOptions {
  /** A TURN URI with an address; UDP. */
  readonly server: string;
  readonly username: string;
  readonly password: string;
  readonly localAddress: string;
  /** When the client gives up, in milliseconds. */
  readonly timeoutMs: number;
}

type Outcome =
  | { readonly kind: "granted"; readonly ms: number }
  | { readonly kind: "refused"; readonly code: number }
  | { readonly kind: "timeout" };

/** RFC 8489 section 6.2.1. */
const RTO_MS = 500;
const MAX_SENT = 7;
/** A server that calls this many nonces in a row stale is broken. */
const MAX_CHALLENGES = 3;

const ALLOCATE = [attribute(Attr.RequestedTransport, TransportProtocol.Udp)];
const RELEASE = [attribute(Attr.Lifetime, 0)];

interface Pending {
  readonly bytes: Uint8Array;
  readonly id: Uint8Array;
  sent: number;
  dueAt: number;
}

interface Session {
  readonly attributes: readonly EncodedAttribute[];
  readonly key: Uint8Array;
  readonly algorithm: "sha1" | "sha256";
}

/** A TURN client that allocates and gives back, and nothing else. */
export class RushClient {
  outcome: Outcome | undefined;
  retransmissions = 0;
  readonly #options: RushClientOptions;
  readonly #socket: Socket;
  #session: Session | undefined;
  #challenges = 0;
  #method = Method.Allocate as number;
  #startedAt = 0;
  #pending: Pending | undefined;

  constructor(options: RushClientOptions) {
    this.#options = options;
    this.#socket = createSocket("udp4");
  }

  async open(): Promise<void> {
    const uri = parseTurnUri(this.#options.server);
    if (uri === undefined) throw new Error(`'${this.#options.server}' is not a TURN URI`);
    const socket = this.#socket;
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.bind({ port: 0, address: this.#options.localAddress, exclusive: true }, () =>
        socket.connect(uri.port, uri.host, resolve),
      );
    });
    socket.removeAllListeners("error");
    // The server may be gone at times; the client asks again.
    socket.on("error", () => {});
    socket.on("message", (bytes) => this.#receive(bytes));
  }

  allocate(now: number): void {
    this.#begin(Method.Allocate, now);
  }

  /** Refresh with a lifetime of 0. */
  release(now: number): void {
    this.#begin(Method.Refresh, now);
  }

  /** Sends again when that is due. Returns whether the client waits still. */
  tend(now: number): boolean {
    const pending = this.#pending;
    if (pending === undefined) return false;
    if (now - this.#startedAt > this.#options.timeoutMs) {
      this.#end({ kind: "timeout" });
      return false;
    }
    if (now >= pending.dueAt && pending.sent < MAX_SENT) {
      this.retransmissions++;
      this.#transmit(pending, now);
    }
    return true;
  }

  close(): void {
    this.#pending = undefined;
    this.#socket.close();
  }

  #begin(method: number, now: number): void {
    this.#method = method;
    this.#challenges = 0;
    this.#startedAt = now;
    this.outcome = undefined;
    this.#ask(now);
  }

  #ask(now: number): void {
    const id = randomBytes(12);
    const attributes = this.#method === Method.Allocate ? ALLOCATE : RELEASE;
    const session = this.#session;
    const bytes = encodeMessage({
      method: this.#method,
      class: MessageClass.Request,
      transactionId: id,
      attributes: session === undefined ? attributes : [...attributes, ...session.attributes],
      integrity:
        session === undefined ? undefined : { key: session.key, algorithm: session.algorithm, crypto: nodeCrypto },
    });
    this.#pending = { bytes, id, sent: 0, dueAt: 0 };
    this.#transmit(this.#pending, now);
  }

  #transmit(pending: Pending, now: number): void {
    pending.dueAt = now + RTO_MS * 2 ** pending.sent++;
    this.#socket.send(pending.bytes, () => {});
  }

  #receive(bytes: Uint8Array): void {
    const pending = this.#pending;
    if (pending === undefined) return;
    const decoded = decodeMessage(bytes);
    if (!decoded.ok) return;
    const { message } = decoded;
    if (!Buffer.from(pending.id).equals(message.transactionId)) return;
    const now = performance.now();
    if (message.class === MessageClass.Success) {
      const session = this.#session;
      if (session === undefined) return;
      if (checkIntegrity(message, session.algorithm, session.key, nodeCrypto) !== "valid") return;
      this.#end({ kind: "granted", ms: now - this.#startedAt });
      return;
    }
    const code = message.get(Attr.ErrorCode)?.code ?? 0;
    const challenged = code === ErrorCode.Unauthenticated && this.#session === undefined;
    if ((challenged || code === ErrorCode.StaleNonce) && ++this.#challenges <= MAX_CHALLENGES) {
      this.#session = this.#sessionOf(message);
      this.#ask(now);
    } else this.#end({ kind: "refused", code });
  }

  #sessionOf(challenge: StunMessage): Session {
    const { username, password } = this.#options;
    const realm = challenge.get(Attr.Realm) ?? "";
    const offered = challenge.get(Attr.PasswordAlgorithms) ?? [];
    const chosen = offered.find(({ algorithm }) => algorithm === PasswordAlgorithmId.Sha256);
    const algorithm = chosen === undefined ? "md5" : "sha256";
    return {
      attributes: [
        attribute(Attr.Username, username),
        attribute(Attr.Realm, realm),
        attribute(Attr.Nonce, challenge.get(Attr.Nonce) ?? ""),
        ...(chosen === undefined
          ? []
          : [attribute(Attr.PasswordAlgorithms, offered), attribute(Attr.PasswordAlgorithm, chosen)]),
      ],
      key: longTermKey({ username, realm, password, algorithm }, nodeCrypto),
      algorithm: chosen === undefined ? "sha1" : "sha256",
    };
  }

  #end(outcome: Outcome): void {
    this.#pending = undefined;
    this.outcome = outcome;
  }
}
