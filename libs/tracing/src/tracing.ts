import type { Tracer } from "@opentelemetry/api";

/** Where the spans of one service go. */
export interface Tracing {
  /** Undefined while nothing is traced: it is off, or its SDK is not there yet. */
  readonly tracer: Tracer | undefined;
}

export const NOT_TRACED: Tracing = { tracer: undefined };
