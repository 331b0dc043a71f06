import { type Entry, enterSpan, type Tracing, traceContext, within } from "@culvert/tracing";
import { SpanKind, SpanStatusCode } from "@opentelemetry/api";
import type { FastifyRequest } from "fastify";
import type { Api } from "./context.ts";

/**
 * A span for each request, below the caller's (`traceparent`). Paths, queries and addresses are not in it: they hold
 * tokens and tell who asks.
 */
export function traceRequests(api: Api, tracing: Tracing): void {
  const entries = new WeakMap<FastifyRequest, Entry>();
  const goOn = (request: FastifyRequest, done: () => void): void => {
    const entry = entries.get(request);
    if (entry === undefined) done();
    else within(entry.context, done);
  };

  api.addHook("onRequest", (request, _, done) => {
    const { method } = request;
    const route = request.routeOptions.url;
    const entry = enterSpan(
      tracing,
      {
        name: route === undefined ? method : `${method} ${route}`,
        kind: SpanKind.SERVER,
        attributes: { "http.request.method": method, ...(route === undefined ? {} : { "http.route": route }) },
      },
      traceContext(request.headers),
    );
    // The caller's trace is worth a line in the log, sampled or not; an id that nobody else knows is not.
    if (entry?.span.isRecording() === true || (entry !== undefined && request.headers.traceparent !== undefined)) {
      entries.set(request, entry);
    }
    goOn(request, done);
  });
  // What comes from the parser of a body comes from the socket, which belongs to no request.
  api.addHook("preValidation", (request, _, done) => goOn(request, done));
  api.addHook("onResponse", (request, reply, done) => {
    const span = entries.get(request)?.span;
    span?.setAttribute("http.response.status_code", reply.statusCode);
    if (reply.statusCode >= 500) span?.setStatus({ code: SpanStatusCode.ERROR });
    span?.end();
    goOn(request, done);
  });
}
