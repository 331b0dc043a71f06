import {
  type Entry,
  endSpan,
  enterSpan,
  type SpanSpec,
  type Tracing,
  traceContext,
  traceHeaders,
} from "@culvert/tracing";
import { type Metadata, status } from "@grpc/grpc-js";
import { type Context, SpanKind } from "@opentelemetry/api";

/** The metadata with the context of what is being traced (W3C Trace Context); as it is where nothing is. */
export function tracedMetadata(metadata: Metadata, active?: Context): Metadata {
  const headers = traceHeaders(active);
  if (headers === undefined) return metadata;
  const traced = metadata.clone();
  for (const [name, value] of Object.entries(headers)) traced.set(name, value);
  return traced;
}

/** The context that a caller sent along. */
function callerContext(metadata: Metadata): Context {
  const headers: Record<string, string> = {};
  for (const name of ["traceparent", "tracestate"]) {
    const [value] = metadata.get(name);
    if (typeof value === "string") headers[name] = value;
  }
  return traceContext(headers);
}

/** The span of a call of `package.Service/Method`. */
export function rpcSpan(method: string, kind: SpanKind): SpanSpec {
  const [service = "", name = ""] = method.split("/");
  return { name: method, kind, attributes: { "rpc.system": "grpc", "rpc.service": service, "rpc.method": name } };
}

/** Begins the span of a call that a server takes. Undefined while nothing is traced. */
export function enterCall(tracing: Tracing, method: string, metadata: Metadata): Entry | undefined {
  return enterSpan(tracing, rpcSpan(method, SpanKind.SERVER), callerContext(metadata));
}

/** Ends the span of a call with gRPC's status code. */
export function endCall(entry: Entry | undefined, code: status = status.OK, details = ""): void {
  if (entry === undefined) return;
  entry.span.setAttribute("rpc.grpc.status_code", code);
  endSpan(entry.span, code === status.OK ? undefined : Object.assign(new Error(details), { code: status[code] }));
}
