import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Logger } from "pino";
import { EXPOSITION_TYPES, negotiateExposition } from "./exposition.ts";
import type { Metrics } from "./metrics.ts";

/** What `/healthz/ready` answers: 200 when ready, otherwise 503. */
export interface ReadyState {
  readonly ready: boolean;
  /** "ok" or what is amiss, for each thing that readiness depends on. */
  readonly checks: Readonly<Record<string, "ok" | (string & {})>>;
}

export interface OpsServerOptions {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  readonly metrics: Metrics;
  readonly ready: () => ReadyState;
  readonly logger: Logger;
  /** From the first byte of a request, or from the connection, to the end of its headers, in ms. Default 5,000. */
  readonly headersTimeoutMs?: number;
}

export interface OpsServer {
  /** Rejects with node's listen error when the address is taken or not on this host. */
  listen(): Promise<{ readonly host: string; readonly port: number }>;
  close(): Promise<void>;
}

/** Starts the ops server, unless it is switched off, and says how it is closed. Rejects as {@link OpsServer.listen} does. */
export async function serveOps(
  options: OpsServerOptions & { readonly enabled: boolean },
  onClose: (close: () => Promise<void>) => void,
): Promise<{ readonly host: string; readonly port: number } | undefined> {
  if (!options.enabled) return undefined;
  const server = createOpsServer(options);
  const address = await server.listen();
  onClose(() => server.close());
  return address;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/**
 * `/healthz/live`, `/healthz/ready` and `/metrics` over HTTP. Nothing that it serves changes anything. Metrics are
 * Prometheus text, or OpenMetrics with exemplars for who prefers that.
 */
export function createOpsServer(options: OpsServerOptions): OpsServer {
  const pages: Readonly<Record<string, (request: IncomingMessage) => Answer | Promise<Answer>>> = {
    "/healthz/live": () => json(200, { live: true }),
    "/healthz/ready": () => {
      const state = options.ready();
      return json(state.ready ? 200 : 503, state);
    },
    "/metrics": async ({ headers }) => {
      const format = negotiateExposition(headers.accept);
      return { status: 200, type: EXPOSITION_TYPES[format], body: await options.metrics.collect(format) };
    },
  };

  const answer = async (request: IncomingMessage): Promise<Answer> => {
    if (request.method !== "GET" && request.method !== "HEAD") return json(405, { error: "method not allowed" });
    const path = (request.url ?? "/").split("?", 1)[0] ?? "/";
    const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
    return page === undefined ? json(404, { error: "not found" }) : await page(request);
  };

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    request.resume();
    let result: Answer;
    try {
      result = await answer(request);
    } catch (error) {
      options.logger.error({ err: error, path: request.url }, "ops request failed");
      result = json(500, { error: "internal error" });
    }
    const body = Buffer.from(result.body);
    response.writeHead(result.status, {
      "content-type": result.type,
      "content-length": body.length,
      "cache-control": "no-store",
    });
    response.end(request.method === "HEAD" ? undefined : body);
  };

  const { headersTimeoutMs = 5_000 } = options;
  const server = createServer({
    headersTimeout: headersTimeoutMs,
    requestTimeout: headersTimeoutMs * 2,
    // Node looks for slow requests every 30 s unless told otherwise.
    connectionsCheckingInterval: headersTimeoutMs / 5,
    maxHeaderSize: 8_192,
  });
  server.maxConnections = 128;
  server.on("request", (request, response) => void handle(request, response));

  return {
    listen: () =>
      new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen({ host: options.host, port: options.port }, () => {
          server.off("error", reject);
          server.on("error", (error) => options.logger.error({ err: error }, "ops server failed"));
          const address = server.address();
          const port = typeof address === "object" && address !== null ? address.port : options.port;
          resolve({ host: options.host, port });
        });
      }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function json(status: number, value: unknown): Answer {
  return { status, type: "application/json; charset=utf-8", body: `${JSON.stringify(value)}\n` };
}
