import { type Context, context, propagation, ROOT_CONTEXT, TraceFlags, trace } from "@opentelemetry/api";

/**
 * `traceparent` and `tracestate` (W3C Trace Context) of what is active, for a message to another process. Undefined where
 * that is not sampled: who gets the message then decides for itself.
 */
export function traceHeaders(from: Context = context.active()): Readonly<Record<string, string>> | undefined {
  const span = trace.getSpanContext(from);
  if (span === undefined || (span.traceFlags & TraceFlags.SAMPLED) === 0) return undefined;
  const headers: Record<string, string> = {};
  propagation.inject(from, headers);
  return headers;
}

/** The context that a message brought along; nothing but that is in it. Headers that are malformed count as absent. */
export function traceContext(headers: Readonly<Record<string, string | string[] | undefined>>): Context {
  return propagation.extract(ROOT_CONTEXT, headers);
}
