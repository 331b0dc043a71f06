import { context, trace } from "@opentelemetry/api";

/** `trace_id` and `span_id` of what is active, for a log line; nothing outside of every trace. The object is the caller's. */
export function traceFields(): Record<string, string> {
  const span = trace.getSpanContext(context.active());
  return span === undefined ? {} : { trace_id: span.traceId, span_id: span.spanId };
}
