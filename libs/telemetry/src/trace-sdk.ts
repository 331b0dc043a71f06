import type { TelemetryAccess } from "@culvert/config";
import type { Tracer } from "@opentelemetry/api";
import { BatchSpanProcessor, type SpanExporter, TracerProvider } from "@opentelemetry/sdk-trace";
import { followContexts } from "./contexts.ts";
import type { ExportLog } from "./export-log.ts";
import { spanExporter } from "./otlp.ts";
import { serviceResource } from "./resource.ts";
import { edgeSampler } from "./sampler.ts";

/** Values that come from outside are cut to this many characters. */
const MAX_VALUE_LENGTH = 512;

export interface TraceSdkOptions {
  readonly service: string;
  readonly target: NonNullable<TelemetryAccess["traces"]>;
  readonly resource: TelemetryAccess["resource"];
  readonly log: ExportLog;
}

/** The part of tracing that a process loads only where requests are traced. */
export async function openTraceSdk(
  options: TraceSdkOptions,
): Promise<{ readonly tracer: Tracer; shutdown(): Promise<void> }> {
  const { service, target, resource, log } = options;
  const { sampleRatio, maxPerSecond, timeoutMs } = target;
  followContexts();
  const exporter = noted(await spanExporter(target), log);
  const provider = new TracerProvider({
    resource: serviceResource(service, resource),
    sampler: edgeSampler({ sampleRatio, maxPerSecond, clock: () => performance.now() }),
    spanLimits: { attributeValueLengthLimit: MAX_VALUE_LENGTH },
    spanProcessors: [new BatchSpanProcessor({ exporter, scheduledDelayMillis: 1_000, exportTimeoutMillis: timeoutMs })],
  });
  return { tracer: provider.getTracer("culvert"), shutdown: () => provider.shutdown() };
}

function noted(exporter: SpanExporter, log: ExportLog): SpanExporter {
  return {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        if (result.error === undefined) log.succeeded();
        else log.failed(result.error);
        done({ code: 0 });
      }),
    forceFlush: async () => exporter.forceFlush?.(),
    shutdown: () => exporter.shutdown(),
  };
}
