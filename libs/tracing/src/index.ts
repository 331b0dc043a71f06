export { compactTrace, expandContext, expandTrace } from "./compact.ts";
export { traceContext, traceHeaders } from "./headers.ts";
export { traceFields } from "./log-fields.ts";
export {
  beginSpan,
  type Entry,
  endSpan,
  enterSpan,
  inSpan,
  outside,
  type SpanSpec,
  sampledContext,
  within,
} from "./spans.ts";
export { NOT_TRACED, type Tracing } from "./tracing.ts";
