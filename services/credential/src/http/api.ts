import type { Logger } from "@culvert/telemetry";
import formbody from "@fastify/formbody";
import swagger from "@fastify/swagger";
import Fastify, { type FastifyBaseLogger, LogController } from "fastify";
import {
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from "fastify-type-provider-zod";
import { z } from "zod";
import { notFound } from "../errors.ts";
import { NO_ROUTE } from "../metrics.ts";
import { apiTokenRoutes } from "./api-tokens.ts";
import { cloudflareRoutes } from "./cloudflare.ts";
import { type Api, type ApiContext, authenticate, bearerToken } from "./context.ts";
import { connectionsEnd } from "./drain.ts";
import { CULVERT_ERROR, errorHandler } from "./error-shapes.ts";
import { allowOrigins, limitConnections } from "./guard.ts";
import { OPENAPI } from "./openapi.ts";
import { revocationRoutes } from "./revocations.ts";
import { signalingRoutes } from "./signaling.ts";
import { signingKeyRoutes } from "./signing-keys.ts";
import { tenantRoutes } from "./tenants.ts";
import { traceRequests } from "./trace.ts";
import { turnRestRoutes } from "./turn-rest.ts";
import { twilioRoutes } from "./twilio.ts";

/** The HTTP API, not listening yet. `routes` are `METHOD /path` of all that it serves. */
export async function createApi(
  context: ApiContext,
  logger: Logger,
): Promise<{ readonly api: Api; readonly routes: readonly string[] }> {
  const { config, metrics } = context;
  const loggerInstance: FastifyBaseLogger = logger;
  const app = Fastify({
    loggerInstance,
    // URLs may hold tokens.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: config.http.maxBodyBytes,
    trustProxy: config.http.trustedProxies.length === 0 ? false : [...config.http.trustedProxies],
    exposeHeadRoutes: false,
    forceCloseConnections: "idle",
    return503OnClosing: false,
    keepAliveTimeout: 15_000,
    requestTimeout: config.http.requestTimeout * 1000,
    routerOptions: { maxParamLength: 2048, ignoreTrailingSlash: true },
    http: { headersTimeout: config.http.requestTimeout * 500, connectionsCheckingInterval: 1_000 },
    frameworkErrors: errorHandler(CULVERT_ERROR, metrics, "admin"),
  });
  const api: Api = app.withTypeProvider<ZodTypeProvider>();
  const routes: string[] = [];
  limitConnections(api.server, config.http);
  api.addHook("preClose", () => connectionsEnd(api.server, config.http.drain * 1000));
  api.setValidatorCompiler(validatorCompiler);
  api.setSerializerCompiler(serializerCompiler);
  api.setErrorHandler(errorHandler(CULVERT_ERROR, metrics, "admin"));
  api.setNotFoundHandler((_, reply) => {
    reply.code(404).send(CULVERT_ERROR.body(notFound("route")));
  });
  api.addHook("onRoute", ({ method, url, schema }) => {
    if (schema?.hide !== true) routes.push(...[method].flat().map((each) => `${each} ${url}`));
  });
  if (context.tracing?.configured === true) traceRequests(api, context.tracing);
  allowOrigins(app, config.http.corsOrigins);
  addRequestHooks(api, context);
  addJsonParser(api);

  await api.register(formbody);
  await api.register(swagger, { openapi: OPENAPI, transform: jsonSchemaTransform });
  await api.register(async (scope: Api) => turnRestRoutes(scope, context));
  await api.register(async (scope: Api) => cloudflareRoutes(scope, context));
  await api.register(async (scope: Api) => twilioRoutes(scope, context));
  await api.register(async (scope: Api) => signalingRoutes(scope, context));
  await api.register(async (scope: Api) => {
    scope.addHook("preValidation", authenticate(context, bearerToken));
    await tenantRoutes(scope, context);
    await signingKeyRoutes(scope, context);
    await apiTokenRoutes(scope, context);
    await revocationRoutes(scope, context);
  });
  api.get(
    "/openapi.json",
    {
      schema: {
        tags: ["Description"],
        summary: "This document",
        operationId: "openapi",
        security: [],
        response: { 200: z.record(z.string(), z.unknown()).describe("OpenAPI 3.1.") },
      },
    },
    async () => ({ ...api.swagger() }),
  );
  await api.ready();
  return { api, routes };
}

function addRequestHooks(api: Api, { metrics }: ApiContext): void {
  api.addHook("onRequest", async (_, reply) => {
    // Answers hold secrets.
    reply.header("cache-control", "no-store").header("x-content-type-options", "nosniff");
  });
  // A request without a body asks for the defaults.
  api.addHook("preValidation", async (request) => {
    request.body ??= {};
  });
  api.addHook("onResponse", async (request, reply) => {
    const route = request.routeOptions.url ?? NO_ROUTE;
    metrics.request(route, request.method, reply.statusCode, reply.elapsedTime / 1000);
    request.log.debug({ route, method: request.method, status: reply.statusCode }, "request answered");
  });
}

/** JSON as usual, but an empty body is none rather than an error. */
function addJsonParser(api: Api): void {
  const parse = api.getDefaultJsonParser("error", "error");
  api.removeContentTypeParser("application/json");
  api.addContentTypeParser("application/json", { parseAs: "string" }, (request, body, done) => {
    const text = body.toString();
    if (text.trim() === "") return done(null, undefined);
    parse(request, text, done);
  });
}
