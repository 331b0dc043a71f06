import { traceFields } from "@culvert/tracing";
import { type DestinationStream, type Logger, pino } from "pino";
import { createPrettyStream } from "./pretty.ts";

export type { DestinationStream, Logger } from "pino";

/** Keys whose values never reach a log line, at any of the first five levels of a logged object. */
export const REDACTED_KEYS: readonly string[] = [
  "username",
  "password",
  "credential",
  "credentials",
  "token",
  "accessToken",
  "secret",
  "secrets",
  "authorization",
  "cookie",
  "nonceKeys",
];

const redactedPaths = ["", "*.", "*.*.", "*.*.*.", "*.*.*.*."].flatMap((prefix) =>
  REDACTED_KEYS.map((key) => prefix + key),
);

export interface LoggerOptions {
  /** Stands in every line as `service`. */
  readonly service: string;
  /** trace, debug, info, warn, error, fatal or silent. Default: info. */
  readonly level?: string;
  /** Default: standard output. */
  readonly destination?: DestinationStream;
  /** Lines for people instead of JSON. Default: false. */
  readonly pretty?: boolean;
}

/**
 * A pino logger: one JSON object a line, `level` as a word, `time` as ISO 8601, values of {@link REDACTED_KEYS} hidden,
 * and `trace_id` and `span_id` of the request that is being worked on, where it is traced.
 */
export function createLogger(options: LoggerOptions): Logger {
  const destination = options.destination ?? pino.destination({ fd: 1, sync: true });
  return pino(
    {
      level: options.level ?? "info",
      base: { service: options.service },
      mixin: traceFields,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: redactedPaths, censor: "[redacted]" },
    },
    options.pretty === true ? createPrettyStream(destination) : destination,
  );
}
