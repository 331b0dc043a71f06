import { Buffer } from "node:buffer";
import {
  type Context,
  context,
  isSpanContextValid,
  ROOT_CONTEXT,
  type SpanContext,
  TraceFlags,
  trace,
} from "@opentelemetry/api";

/**
 * What is active in 24 bytes, 32 characters of base64url: trace id, span id. Undefined where it is not sampled, so that
 * the flags go without saying.
 */
export function compactTrace(from: Context = context.active()): string | undefined {
  const span = trace.getSpanContext(from);
  if (span === undefined || (span.traceFlags & TraceFlags.SAMPLED) === 0) return undefined;
  return Buffer.from(span.traceId + span.spanId, "hex").toString("base64url");
}

/** Reads what {@link compactTrace} wrote. Undefined: it is nothing of the kind. */
export function expandTrace(text: string): SpanContext | undefined {
  const hex = Buffer.from(text, "base64url").toString("hex");
  const span: SpanContext = {
    traceId: hex.slice(0, 32),
    spanId: hex.slice(32),
    traceFlags: TraceFlags.SAMPLED,
    isRemote: true,
  };
  return isSpanContextValid(span) ? span : undefined;
}

/** The context that {@link compactTrace} wrote; nothing but that is in it. */
export function expandContext(text: string | undefined): Context {
  const span = text === undefined ? undefined : expandTrace(text);
  return span === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, span);
}
