import { z } from "zod";
import type { GrpcClientTls } from "./grpc.ts";
import { secret } from "./meta.ts";

export const OTLP_PROTOCOLS = ["http/protobuf", "http/json", "grpc"] as const;
export type OtlpProtocol = (typeof OTLP_PROTOCOLS)[number];

/** The key `telemetry` of a service, checked. What each key means stands in its schema. */
export interface TelemetryConfig {
  readonly otlp: {
    readonly endpoint?: string;
    readonly protocol?: OtlpProtocol;
    readonly headers?: string;
    readonly tls?: GrpcClientTls;
    readonly timeout?: number;
  };
  readonly traces: {
    readonly enabled: boolean;
    readonly sampleRatio?: number;
    readonly maxPerSecond: number;
  };
  readonly metrics: {
    readonly enabled: boolean;
    readonly interval?: number;
  };
}

const HEADERS = /^\s*[\w.!#$&'*+^`|~-]+\s*=[^,]*(,\s*[\w.!#$&'*+^`|~-]+\s*=[^,]*)*$/;

const isHttpUrl = (text: string): boolean =>
  URL.canParse(text) && ["http:", "https:"].includes(new URL(text).protocol) && !new URL(text).username;

/** A URL of a collector: http or https, without a user. */
export function otlpUrl(): z.ZodString {
  return z.string().refine(isHttpUrl, "must be a URL such as http://collector:4318, without a user");
}

/** `name=value,name=value`, values percent-encoded, as OTEL_EXPORTER_OTLP_HEADERS has it. */
export function otlpHeaders(): z.ZodString {
  return z.string().regex(HEADERS, "must be name=value,name=value");
}

/** The key `telemetry` of every service. */
export function telemetrySection(): z.ZodType<TelemetryConfig> {
  const otlp = z
    .strictObject({
      endpoint: otlpUrl()
        .exactOptional()
        .describe(
          "The collector, for example http://collector:4318; /v1/traces and /v1/metrics are appended, but for gRPC. Default: OTEL_EXPORTER_OTLP_ENDPOINT. Without any nothing is exported, and nothing is traced.",
        ),
      protocol: z
        .enum(OTLP_PROTOCOLS)
        .exactOptional()
        .describe("Default: OTEL_EXPORTER_OTLP_PROTOCOL, or http/protobuf."),
      headers: secret(otlpHeaders())
        .exactOptional()
        .describe("name=value,name=value: sent with each export. Default: OTEL_EXPORTER_OTLP_HEADERS."),
      tls: z
        .strictObject({
          ca: z.string().exactOptional().describe("PEM file with the authorities to trust; otherwise the system's."),
          cert: z.string().exactOptional().describe("PEM file of the client certificate, for mTLS."),
          key: z.string().exactOptional().describe("PEM file of the client certificate's key."),
        })
        .exactOptional()
        .describe("For an endpoint with https. Default: OTEL_EXPORTER_OTLP_CERTIFICATE and the like."),
      timeout: z
        .number()
        .min(0.1)
        .max(60)
        .exactOptional()
        .describe("Seconds that one export may take. Default: OTEL_EXPORTER_OTLP_TIMEOUT, or 10."),
    })
    .prefault({})
    .describe("The OpenTelemetry collector that traces and metrics go to.");
  const traces = z
    .strictObject({
      enabled: z.boolean().default(true).describe("Whether requests are traced, where there is an endpoint."),
      sampleRatio: z
        .number()
        .min(0)
        .max(1)
        .exactOptional()
        .describe(
          "Share of the traces that begin here. What a caller has decided (traceparent) counts in its place. Default: OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG, or 1.",
        ),
      maxPerSecond: z
        .number()
        .positive()
        .max(10_000)
        .default(20)
        .describe("Traces a second that begin here or are joined here, whoever decided; beyond: not sampled."),
    })
    .prefault({})
    .describe("Control requests, followed from service to service. Packets are never traced.");
  const metrics = z
    .strictObject({
      enabled: z
        .boolean()
        .default(true)
        .describe("Whether metrics go to the endpoint, too. /metrics is there in any case."),
      interval: z
        .number()
        .min(1)
        .max(3600)
        .exactOptional()
        .describe("Seconds between exports. Default: OTEL_METRIC_EXPORT_INTERVAL, or 60."),
    })
    .prefault({})
    .describe("Metrics over OTLP.");
  return z
    .strictObject({ otlp, traces, metrics })
    .prefault({})
    .describe("Traces and metrics over OTLP. The variables of OpenTelemetry count where a key is absent.");
}
