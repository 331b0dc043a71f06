import {
  type Attributes,
  type Context,
  context,
  createContextKey,
  type Link,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import type { Tracing } from "./tracing.ts";

export interface SpanSpec {
  /** Of low cardinality: a route, a method, a script. Never a user, an address or an id. */
  readonly name: string;
  /** Default: internal. */
  readonly kind?: SpanKind;
  readonly attributes?: Attributes;
  readonly links?: Link[];
  /** Milliseconds since the Unix epoch. Default: now. */
  readonly startTime?: number;
}

/** A span where something enters the process, and the context for all that follows from it. */
export interface Entry {
  readonly span: Span;
  readonly context: Context;
}

/** Whose tracer it is. Libraries have none of their own: several services may live in one process. */
const TRACER = createContextKey("culvert.tracer");

/** The longest text that an error becomes in a span. */
const MAX_MESSAGE = 200;

/**
 * Begins a span where something enters the process: a request, a message. Undefined while nothing is traced. Whether it
 * is sampled, `span.isRecording()` says.
 *
 * @param parent the context that the caller sent along; none: a trace begins here
 */
export function enterSpan({ tracer }: Tracing, spec: SpanSpec, parent: Context = ROOT_CONTEXT): Entry | undefined {
  if (tracer === undefined) return undefined;
  const span = tracer.startSpan(spec.name, optionsOf(spec), parent);
  return { span, context: trace.setSpan(parent, span).setValue(TRACER, tracer) };
}

/**
 * Begins a span below `parent`, the active one unless told, with the context for what follows from it. Undefined where that
 * is not sampled. End it with {@link endSpan}.
 */
export function beginSpan(spec: SpanSpec, parent: Context = context.active()): Entry | undefined {
  const tracer = tracerOf(parent);
  if (tracer === undefined) return undefined;
  const span = tracer.startSpan(spec.name, optionsOf(spec), parent);
  return { span, context: trace.setSpan(parent, span) };
}

/** Ends a span, as failed where there is an error. */
export function endSpan(span: Span | undefined, error?: unknown): void {
  if (span === undefined) return;
  if (error !== undefined) fail(span, error);
  span.end();
}

/** Works in a span below the one that is active. Where that is not sampled it costs a look, and there is no span. */
export function inSpan<T>(spec: SpanSpec, work: (span: Span | undefined) => Promise<T>): Promise<T> {
  const entry = beginSpan(spec);
  return entry === undefined ? work(undefined) : follow(entry, work);
}

/** Works with a context as the active one; with none, as outside of every trace. */
export function within<T>(active: Context | undefined, work: () => T): T {
  return context.with(active ?? ROOT_CONTEXT, work);
}

/** Works outside of every trace: what is left running does not belong to what is active now. */
export function outside<T>(work: () => T): T {
  return context.active() === ROOT_CONTEXT ? work() : context.with(ROOT_CONTEXT, work);
}

/** The active context, if it is sampled: to go on with later. */
export function sampledContext(): Context | undefined {
  const active = context.active();
  return tracerOf(active) === undefined ? undefined : active;
}

async function follow<T>({ span, context: own }: Entry, work: (span: Span) => Promise<T>): Promise<T> {
  try {
    return await context.with(own, work, undefined, span);
  } catch (error) {
    fail(span, error);
    throw error;
  } finally {
    span.end();
  }
}

function tracerOf(active: Context): Tracer | undefined {
  if (active === ROOT_CONTEXT) return undefined;
  const parent = trace.getSpanContext(active);
  if (parent === undefined || (parent.traceFlags & TraceFlags.SAMPLED) === 0) return undefined;
  const tracer = active.getValue(TRACER);
  return isTracer(tracer) ? tracer : undefined;
}

function isTracer(value: unknown): value is Tracer {
  return typeof value === "object" && value !== null && "startSpan" in value;
}

function optionsOf({ kind = SpanKind.INTERNAL, attributes, links, startTime }: SpanSpec) {
  return {
    kind,
    ...(attributes === undefined ? {} : { attributes }),
    ...(links === undefined ? {} : { links }),
    ...(startTime === undefined ? {} : { startTime }),
  };
}

function fail(span: Span, error: unknown): void {
  const type = error instanceof Error ? ("code" in error ? String(error.code) : error.name) : typeof error;
  const message = error instanceof Error ? error.message : String(error);
  span.setAttribute("error.type", type);
  span.setStatus({ code: SpanStatusCode.ERROR, message: message.slice(0, MAX_MESSAGE) });
}
