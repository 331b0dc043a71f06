import type { OtlpTarget } from "@culvert/config";
import { type IOtlpExportDelegate, OTLPExporterBase } from "@opentelemetry/otlp-exporter-base";
import { createOtlpHttpExportDelegate, httpAgentFactoryFromOptions } from "@opentelemetry/otlp-exporter-base/node-http";
import {
  type IExporterMetricsHelper,
  type ISerializer,
  JsonMetricsSerializer,
  JsonTraceSerializer,
  MetricsExporterMetricsHelper,
  ProtobufMetricsSerializer,
  ProtobufTraceSerializer,
  TraceExporterMetricsHelper,
} from "@opentelemetry/otlp-transformer";
import type { PushMetricExporter, ResourceMetrics } from "@opentelemetry/sdk-metrics";
import type { ReadableSpan, SpanExporter } from "@opentelemetry/sdk-trace";

/** Exports under way at once; beyond, what is to be exported is dropped. */
const CONCURRENCY = 4;

interface Signal<Data> {
  readonly protobuf: ISerializer<Data, unknown>;
  readonly json: ISerializer<Data, unknown>;
  readonly helper: IExporterMetricsHelper<Data>;
  /** The last part of the service's name, and of its path. */
  readonly grpc: { readonly name: string; readonly path: string };
}

const TRACES: Signal<ReadableSpan[]> = {
  protobuf: ProtobufTraceSerializer,
  json: JsonTraceSerializer,
  helper: TraceExporterMetricsHelper,
  grpc: { name: "TraceExportService", path: "/opentelemetry.proto.collector.trace.v1.TraceService/Export" },
};

const METRICS: Signal<ResourceMetrics> = {
  protobuf: ProtobufMetricsSerializer,
  json: JsonMetricsSerializer,
  helper: MetricsExporterMetricsHelper,
  grpc: { name: "MetricsExportService", path: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" },
};

/** Exports spans over OTLP. Loads gRPC where that is the protocol. */
export async function spanExporter(target: OtlpTarget): Promise<SpanExporter> {
  return new OTLPExporterBase(await delegate(target, TRACES));
}

/** Exports metrics over OTLP, as sums since the start. */
export async function metricExporter(target: OtlpTarget): Promise<PushMetricExporter> {
  return new OTLPExporterBase(await delegate(target, METRICS));
}

async function delegate<Data>(target: OtlpTarget, signal: Signal<Data>): Promise<IOtlpExportDelegate<Data>> {
  const { url, protocol, headers, timeoutMs, compression, tls } = target;
  const shared = { url, timeoutMillis: timeoutMs, concurrencyLimit: CONCURRENCY, compression };
  if (protocol === "grpc") return grpcDelegate(target, shared, signal);
  const json = protocol === "http/json";
  const options = {
    ...shared,
    headers: async () => ({ ...headers, "content-type": json ? "application/json" : "application/x-protobuf" }),
    agentFactory: httpAgentFactoryFromOptions({ keepAlive: true, ...tls }),
  };
  return createOtlpHttpExportDelegate(
    options,
    json ? signal.json : signal.protobuf,
    protocol,
    signal.helper,
    undefined,
  );
}

async function grpcDelegate<Data>(
  { url, headers, tls }: OtlpTarget,
  shared: { url: string; timeoutMillis: number; concurrencyLimit: number; compression: "none" | "gzip" },
  { protobuf, helper, grpc }: Signal<Data>,
): Promise<IOtlpExportDelegate<Data>> {
  const { createEmptyMetadata, createInsecureCredentials, createOtlpGrpcExportDelegate, createSslCredentials } =
    await import("@opentelemetry/otlp-grpc-exporter-base");
  const { protocol, host } = new URL(url);
  const pem = (text: string | undefined): Buffer | undefined => (text === undefined ? undefined : Buffer.from(text));
  const options = {
    ...shared,
    url: host,
    metadata: () => {
      const metadata = createEmptyMetadata();
      for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
      return metadata;
    },
    credentials: () =>
      protocol === "https:"
        ? createSslCredentials(pem(tls.ca), pem(tls.key), pem(tls.cert))
        : createInsecureCredentials(),
  };
  return createOtlpGrpcExportDelegate(options, protobuf, "grpc", helper, undefined, grpc.name, grpc.path);
}
