import { constants } from "node:crypto";
import net from "node:net";
import tls from "node:tls";
import type { TransportAddress } from "@culvert/stun";
import type { ClientAddress } from "@culvert/turn";
import { type Certificate, type DropReason, ListenError, type ListenerSpec } from "../port.ts";
import { AddressMap } from "./address-map.ts";
import type { Admission } from "./admission.ts";
import { errnoOf, listenError, oneLine } from "./listen-error.ts";
import type { Listener, ListenerContext } from "./listener.ts";
import { Stream, type StreamHost } from "./stream.ts";

const BACKLOG = 1024;

export interface StreamListenerContext extends ListenerContext {
  readonly admission: Admission;
  /** Whether the client owns a relay, which keeps an idle stream open. */
  readonly ownsRelay: (client: ClientAddress) => boolean;
  /** The stream of this client is gone, and whatever it owned has no way back to it. */
  readonly forgetClient: (client: ClientAddress) => void;
  /** The control loop has heard from this client, and is to hear that it is gone. */
  readonly announceClosed: (client: ClientAddress) => void;
}

/** Clients over TCP, or over TLS. */
export class StreamListener implements Listener {
  readonly stream: boolean = true;
  readonly #context: StreamListenerContext;
  readonly #server: net.Server | tls.Server;
  readonly #streams: AddressMap<Stream> = new AddressMap();
  readonly #host: StreamHost;
  /** Gives the place of an open stream back. */
  readonly #releases: Map<Stream, () => void> = new Map();
  /** Those the control loop has heard from, and is to hear of when they end. */
  readonly #announced: WeakSet<Stream> = new WeakSet();

  private constructor(context: StreamListenerContext, server: net.Server | tls.Server) {
    this.#context = context;
    this.#server = server;
    this.#host = {
      limits: context.limits,
      onMessage: (stream, bytes) => this.#onMessage(stream, bytes),
      hasRelay: ({ ip, port }) => context.ownsRelay({ ip, port }),
      onClosed: (stream) => this.#onClosed(stream),
      drop: (reason) => context.tally.drop(reason),
    };
    server.on("connection", (socket: net.Socket) => this.#accept(socket));
    if (server instanceof tls.Server) {
      server.on("secureConnection", (socket: tls.TLSSocket) => this.#secured(socket));
      server.on("tlsClientError", (error: Error, socket: tls.TLSSocket) => {
        // A connection that just ends, as a port scan's does, has broken no rule.
        if (errnoOf(error) !== "ECONNRESET") context.tally.drop("stream-framing");
        socket.destroy();
      });
    }
  }

  static open(context: StreamListenerContext): Promise<StreamListener> {
    const { spec } = context;
    const server = spec.transport === "tls" ? tlsServer(spec) : net.createServer(SOCKET_OPTIONS);
    const listener = new StreamListener(context, server);
    const { ip, port } = spec.local;
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: ip, port, backlog: BACKLOG, ipv6Only: ip.includes(":"), exclusive: true }, () => {
        server.off("error", reject);
        // A failed accept: out of file descriptors, most often. Those that are open go on.
        server.on("error", () => context.tally.drop("stream-limit"));
        resolve(listener);
      });
    });
  }

  get local(): TransportAddress {
    const address = this.#server.address();
    if (address === null || typeof address === "string") return this.#context.spec.local;
    return { ip: address.address, port: address.port };
  }

  serves({ ip, port }: ClientAddress): boolean {
    return this.#streams.get(ip, port) !== undefined;
  }

  send(to: ClientAddress, bytes: Uint8Array): DropReason | undefined {
    const stream = this.#streams.get(to.ip, to.port);
    return stream === undefined ? "unknown-client" : stream.reply(bytes);
  }

  relay(to: ClientAddress, bytes: Uint8Array): DropReason | undefined {
    const stream = this.#streams.get(to.ip, to.port);
    return stream === undefined ? "unknown-client" : stream.relay(bytes);
  }

  closeClient({ ip, port }: ClientAddress): void {
    this.#streams.get(ip, port)?.end();
  }

  setCertificate(certificate: Certificate): void {
    const { spec } = this.#context;
    if (!(this.#server instanceof tls.Server)) throw listenError(spec, "takes no certificate");
    this.#server.setSecureContext(secureOptions(spec, certificate));
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      for (const stream of [...this.#streams.values()]) stream.destroy();
    });
  }

  #accept(socket: net.Socket): void {
    const { remoteAddress: ip, remotePort: port } = socket;
    const { admission, tally } = this.#context;
    const release = ip === undefined ? undefined : admission.admit(ip);
    if (ip === undefined || port === undefined || release === undefined) {
      socket.on("error", () => {});
      socket.destroy();
      // Without an address it had gone before it was accepted.
      if (ip !== undefined) tally.drop("stream-limit");
      return;
    }
    const former = this.#streams.get(ip, port);
    if (former !== undefined) {
      // The kernel knows that the old connection is gone; its "close" is still on its way here.
      former.destroy();
      this.#onClosed(former);
    }
    const stream = new Stream(this.#host, socket, ip, port);
    this.#releases.set(stream, release);
    this.#streams.set(ip, port, stream);
    if (this.#context.spec.transport === "tcp") stream.start(socket);
  }

  #secured(socket: tls.TLSSocket): void {
    const { remoteAddress: ip, remotePort: port } = socket;
    const stream = ip === undefined || port === undefined ? undefined : this.#streams.get(ip, port);
    if (stream === undefined) socket.destroy();
    else stream.start(socket);
  }

  #onMessage(stream: Stream, bytes: Buffer): void {
    if (this.#context.take(bytes, stream.ip, stream.port)) this.#announced.add(stream);
  }

  #onClosed(stream: Stream): void {
    const { forgetClient, announceClosed } = this.#context;
    const { ip, port } = stream;
    const release = this.#releases.get(stream);
    if (release === undefined) return;
    this.#releases.delete(stream);
    release();
    this.#streams.delete(ip, port, stream);
    forgetClient({ ip, port });
    if (this.#announced.has(stream)) announceClosed({ ip, port });
  }
}

/** Half open, so that a client that has ended its side still gets the reply to its last request. */
const SOCKET_OPTIONS = { allowHalfOpen: true, noDelay: true } as const;

function tlsServer(spec: ListenerSpec): tls.Server {
  if (spec.certificate === undefined) throw listenError(spec, "a TLS listener needs a certificate");
  return tls.createServer({ ...SOCKET_OPTIONS, ...secureOptions(spec, spec.certificate) });
}

/** @throws ListenError when the certificate or the key does not parse, or one does not belong to the other. */
function secureOptions(spec: ListenerSpec, { cert, key }: Certificate): tls.SecureContextOptions {
  const options: tls.SecureContextOptions = {
    cert,
    key,
    minVersion: "TLSv1.2",
    maxVersion: "TLSv1.3",
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  };
  try {
    tls.createSecureContext(options);
  } catch (error) {
    throw error instanceof ListenError ? error : listenError(spec, `certificate: ${oneLine(error)}`, error);
  }
  return options;
}
