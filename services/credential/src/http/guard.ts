import type { Server as HttpServer } from "node:http";
import type { Server, Socket } from "node:net";
import { plainAddress, SourceCounter, Sources, sourceKey } from "@culvert/runtime";
import type { FastifyInstance } from "fastify";
import type { HttpConfig } from "../config.ts";

/** Closes connections beyond what one source may hold. Trusted proxies stand for many sources and are not counted. */
export function limitConnections(server: Server | HttpServer, config: HttpConfig): void {
  server.maxConnections = config.maxConnections;
  const sources = new Sources(config.trustedProxies);
  const counter = new SourceCounter(config.maxConnectionsPerSource);
  server.on("connection", (socket: Socket) => {
    const ip = plainAddress(socket.remoteAddress ?? "");
    if (ip === "" || sources.isTrusted(ip)) return;
    const source = sourceKey(ip);
    if (!counter.add(source)) {
      socket.destroy();
      return;
    }
    socket.once("close", () => counter.remove(source));
  });
}

/** Cross-origin requests (Fetch standard, section 3.3) of the configured origins. The others get no CORS headers. */
export function allowOrigins(api: FastifyInstance, origins: readonly string[]): void {
  if (origins.length === 0) return;
  const any = origins.includes("*");
  api.addHook("onRequest", async (request, reply) => {
    const { origin } = request.headers;
    if (!any) reply.header("vary", "Origin");
    if (origin === undefined || !(any || origins.includes(origin))) return;
    reply.header("access-control-allow-origin", any ? "*" : origin);
    if (request.method !== "OPTIONS" || request.headers["access-control-request-method"] === undefined) {
      reply.header("access-control-expose-headers", "Retry-After");
      return;
    }
    return reply
      .header("access-control-allow-methods", "GET, POST, PATCH, DELETE")
      .header("access-control-allow-headers", "Authorization, Content-Type, X-Api-Key")
      .header("access-control-max-age", "600")
      .code(204)
      .send();
  });
}
