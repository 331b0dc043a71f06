import {
  beginSpan,
  endSpan,
  enterSpan,
  inSpan,
  type SpanSpec,
  type Tracing,
  traceContext,
  traceHeaders,
  within,
} from "@culvert/tracing";
import { type Span, SpanKind } from "@opentelemetry/api";
import type { BusHandler, BusHeaders, EventBus } from "./port.ts";

/**
 * The bus, with the context of what is being traced in the headers of its messages (W3C Trace Context), and spans for who
 * sends and who takes such a message. Messages outside of sampled traces go through as they are.
 */
export function tracedBus(bus: EventBus, tracing: Tracing): EventBus {
  return {
    publish(subject, data, headers) {
      const entry = beginSpan(spanOf("send", subject, SpanKind.PRODUCER));
      if (entry === undefined) {
        bus.publish(subject, data, headers);
        return;
      }
      try {
        bus.publish(subject, data, { ...headers, ...traceHeaders(entry.context) });
        endSpan(entry.span);
      } catch (error) {
        endSpan(entry.span, error);
        throw error;
      }
    },
    request: (subject, data, options = {}) =>
      inSpan(spanOf("request", subject, SpanKind.CLIENT), () => bus.request(subject, data, withTrace(options))),
    subscribe: (pattern, handler, options) => bus.subscribe(pattern, tracedHandler(handler, tracing), options),
    flush: () => bus.flush(),
    health: () => bus.health(),
    onHealthChange: (listener) => bus.onHealthChange(listener),
    onError: (listener) => bus.onError(listener),
    close: () => bus.close(),
  };
}

/** The span of a message. Its name has the first words of the subject only: behind them are tenants and relays. */
export function spanOf(operation: "send" | "request" | "process", subject: string, kind: SpanKind): SpanSpec {
  const destination = subject.split(".", 3).join(".");
  return {
    name: `${operation} ${destination}`,
    kind,
    attributes: {
      "messaging.system": "nats",
      "messaging.operation.name": operation,
      "messaging.destination.name": destination,
    },
  };
}

function tracedHandler(handler: BusHandler, tracing: Tracing): BusHandler {
  return (message) => {
    if (message.headers.traceparent === undefined) return handler(message);
    const spec = spanOf("process", message.subject, SpanKind.CONSUMER);
    const entry = enterSpan(tracing, spec, traceContext(message.headers));
    if (entry === undefined) return handler(message);
    return within(entry.context, () => ending(entry.span, () => handler(message)));
  };
}

/** Ends the span with the work, which may go on after it returns. */
function ending(span: Span, work: () => void | Promise<void>): void | Promise<void> {
  try {
    const result = work();
    if (!(result instanceof Promise)) {
      endSpan(span);
      return undefined;
    }
    return result.then(
      () => endSpan(span),
      (error: unknown) => {
        endSpan(span, error);
        throw error;
      },
    );
  } catch (error) {
    endSpan(span, error);
    throw error;
  }
}

function withTrace<Options extends { readonly headers?: BusHeaders }>(options: Options): Options {
  const trace = traceHeaders();
  return trace === undefined ? options : { ...options, headers: { ...options.headers, ...trace } };
}
