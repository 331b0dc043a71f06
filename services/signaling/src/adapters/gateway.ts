import { createServer, type IncomingMessage, type Server } from "node:http";
import type { Duplex } from "node:stream";
import { CloseCode, SUBPROTOCOL } from "@culvert/rendezvous";
import { plainAddress, SourceCounter, type Sources, sourceKey } from "@culvert/runtime";
import { type WebSocket, WebSocketServer } from "ws";

/** The one path of the server. */
export const SIGNALING_PATH = "/v1/signaling";

/** Bytes that may wait for one socket. The outbox of a session is less: only a client that asks and never reads gets here. */
const MAX_BUFFERED = 1024 * 1024;
const CLOSE_TIMEOUT_MS = 5_000;
/** For who was slow enough already: request, hello and this together are 15 s by default. */
const SLOW_CLOSE_TIMEOUT_MS = 500;
const REQUEST_TIMEOUT_MS = 4_000;
const REQUEST_CHECK_MS = 500;
/** Ping frames that a client may send within one keep-alive interval. */
const MAX_PINGS = 60;

export interface GatewayOptions {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** Empty: all. */
  readonly origins: readonly string[];
  readonly sources: Sources;
  readonly maxConnections: number;
  readonly maxConnectionsPerSource: number;
  readonly maxPayload: number;
  readonly pingMs: number;
  readonly handler: GatewayHandler;
}

export interface GatewayHandler {
  opened(id: number): void;
  text(id: number, text: string): void;
  /** `clean`: the client closed with 1000. */
  closed(id: number, clean: boolean): void;
  /** Something was turned away before it got to a session. */
  refused(reason: string): void;
}

interface Client {
  readonly id: number;
  readonly socket: WebSocket;
  alive: boolean;
  pings: number;
  keepAlive: NodeJS.Timeout | undefined;
}

type Refusal = readonly [status: string, reason: string];

/** The WebSocket server (RFC 6455): upgrades, caps, keep-alive. What is said on a connection is not its business. */
export class Gateway {
  readonly #options: GatewayOptions;
  readonly #server: Server;
  readonly #webSockets: WebSocketServer;
  readonly #clients = new Map<number, Client>();
  readonly #counter: SourceCounter;
  #lastId = 0;
  #draining = false;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#counter = new SourceCounter(options.maxConnectionsPerSource);
    this.#webSockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      maxPayload: options.maxPayload,
      perMessageDeflate: false,
      autoPong: false,
      handleProtocols: () => SUBPROTOCOL,
    });
    this.#server = createServer({
      headersTimeout: REQUEST_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: REQUEST_CHECK_MS,
      keepAliveTimeout: 5_000,
      maxHeaderSize: 16 * 1024,
    });
    this.#server.maxConnections = options.maxConnections;
    this.#server.on("drop", () => options.handler.refused("max_connections"));
    this.#server.on("connection", (socket) => this.#admit(socket));
    this.#server.on("request", (request, response) => {
      request.resume();
      const here = pathOf(request) === SIGNALING_PATH;
      response.writeHead(here ? 426 : 404, {
        "content-type": "text/plain; charset=utf-8",
        ...(here ? { upgrade: "websocket" } : {}),
      });
      response.end(here ? `WebSocket, subprotocol ${SUBPROTOCOL}\n` : "not found\n");
    });
    this.#server.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
  }

  /** Rejects with node's listen error when the address is taken or not on this host. */
  listen(): Promise<{ readonly host: string; readonly port: number }> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host, port }, () => {
        this.#server.off("error", reject);
        this.#server.on("error", () => this.#options.handler.refused("accept_failed"));
        const address = this.#server.address();
        resolve({ host, port: typeof address === "object" && address !== null ? address.port : port });
      });
    });
  }

  send(id: number, text: string): void {
    const client = this.#clients.get(id);
    if (client === undefined) return;
    client.socket.send(text);
    if (client.socket.bufferedAmount <= MAX_BUFFERED) return;
    this.#options.handler.refused("slow_socket");
    client.socket.terminate();
  }

  close(id: number, code: number, reason: string): void {
    const client = this.#clients.get(id);
    if (client === undefined) return;
    client.socket.close(code, reason);
    clearInterval(client.keepAlive);
    const patience = code === CloseCode.HelloTimeout ? SLOW_CLOSE_TIMEOUT_MS : CLOSE_TIMEOUT_MS;
    client.keepAlive = setTimeout(() => client.socket.terminate(), patience);
  }

  /** Turns away whoever comes from now on. */
  drain(): void {
    this.#draining = true;
  }

  /** Ends when all connections have, those that do not close by themselves by force. */
  async stop(): Promise<void> {
    this.#draining = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    for (const { id } of this.#clients.values()) this.close(id, 1001, "goaway");
    const force = setTimeout(() => {
      for (const { socket } of this.#clients.values()) socket.terminate();
      this.#server.closeAllConnections();
    }, 1_000);
    await closed;
    clearTimeout(force);
  }

  #admit(socket: Duplex & { readonly remoteAddress?: string | undefined }): void {
    const ip = plainAddress(socket.remoteAddress ?? "");
    if (this.#options.sources.isTrusted(ip)) return;
    if (!this.#hold(ip, socket)) {
      this.#options.handler.refused("max_connections_per_source");
      socket.destroy();
    }
  }

  /** Counts the source until the socket closes. */
  #hold(ip: string, socket: Duplex): boolean {
    const source = sourceKey(ip);
    if (!this.#counter.add(source)) return false;
    socket.once("close", () => this.#counter.remove(source));
    return true;
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", () => socket.destroy());
    const refusal = this.#refusal(request) ?? this.#refuseProxied(request, socket);
    if (refusal !== undefined) {
      const [status, reason] = refusal;
      this.#options.handler.refused(reason);
      const body = `${reason}\n`;
      socket.end(
        `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
      return;
    }
    this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => this.#open(webSocket));
  }

  #refusal(request: IncomingMessage): Refusal | undefined {
    const { origin } = request.headers;
    const { origins } = this.#options;
    const offered = (request.headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
    if (this.#draining) return ["503 Service Unavailable", "draining"];
    if (pathOf(request) !== SIGNALING_PATH) return ["404 Not Found", "path"];
    if (origins.length > 0 && origin !== undefined && !origins.includes(origin)) return ["403 Forbidden", "origin"];
    if (!offered.includes(SUBPROTOCOL)) return ["400 Bad Request", "subprotocol"];
    return undefined;
  }

  #refuseProxied(request: IncomingMessage, socket: Duplex): Refusal | undefined {
    const { sources } = this.#options;
    if (!sources.isTrusted(plainAddress(request.socket.remoteAddress ?? ""))) return undefined;
    const ip = sources.of(request);
    return this.#hold(ip, socket) ? undefined : ["429 Too Many Requests", "max_connections_per_source"];
  }

  #open(socket: WebSocket): void {
    const { handler, pingMs } = this.#options;
    this.#lastId++;
    const client: Client = { id: this.#lastId, socket, alive: true, pings: 0, keepAlive: undefined };
    const { id } = client;
    this.#clients.set(id, client);
    client.keepAlive = setInterval(() => this.#keepAlive(client), pingMs);
    socket.on("message", (data, isBinary) => {
      client.alive = true;
      if (isBinary) this.#turnAway(client, "binary", 1003);
      else if (socket.readyState === socket.OPEN) handler.text(id, data.toString());
    });
    socket.on("pong", () => {
      client.alive = true;
    });
    socket.on("ping", (data) => {
      client.alive = true;
      client.pings++;
      if (client.pings > MAX_PINGS) this.#turnAway(client, "ping_flood", 1008);
      else socket.pong(data);
    });
    socket.on("error", (error) => {
      const code = "code" in error ? error.code : undefined;
      handler.refused(code === "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH" ? "too_large" : "bad_frame");
    });
    socket.on("close", (code) => {
      clearInterval(client.keepAlive);
      this.#clients.delete(id);
      handler.closed(id, code === 1000);
    });
    handler.opened(id);
  }

  #turnAway(client: Client, reason: string, code: number): void {
    this.#options.handler.refused(reason);
    this.close(client.id, code, reason);
  }

  #keepAlive(client: Client): void {
    client.pings = 0;
    if (!client.alive) {
      this.#options.handler.refused("silent");
      client.socket.terminate();
      return;
    }
    client.alive = false;
    client.socket.ping();
  }
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? "").split("?", 1)[0] ?? "";
}
