import type { Server as HttpServer } from "node:http";
import type { Server, Socket } from "node:net";
import { BlockList, isIPv4 } from "node:net";
import type { FastifyInstance } from "fastify";
import type { HttpConfig } from "../config.ts";
import { sourceOf } from "../failure-limiter.ts";

/** Closes connections beyond what one source may hold. Trusted proxies stand for many sources and are not counted. */
export function limitConnections(server: Server | HttpServer, config: HttpConfig): void {
  server.maxConnections = config.maxConnections;
  const trusted = new BlockList();
  for (const range of config.trustedProxies) {
    const [ip = "", length] = range.split("/");
    const family = isIPv4(ip) ? "ipv4" : "ipv6";
    trusted.addSubnet(ip, length === undefined ? (family === "ipv4" ? 32 : 128) : Number(length), family);
  }
  const open = new Map<string, number>();
  server.on("connection", (socket: Socket) => {
    const ip = socket.remoteAddress ?? "";
    const source = sourceOf(ip);
    if (ip === "" || trusted.check(ip, isIPv4(ip) ? "ipv4" : "ipv6")) return;
    const held = (open.get(source) ?? 0) + 1;
    if (held > config.maxConnectionsPerSource) {
      socket.destroy();
      return;
    }
    open.set(source, held);
    socket.once("close", () => {
      const left = (open.get(source) ?? 1) - 1;
      if (left === 0) open.delete(source);
      else open.set(source, left);
    });
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
