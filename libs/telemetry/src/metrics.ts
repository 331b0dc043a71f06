import type { TelemetryAccess } from "@culvert/config";
import type { Meter } from "@opentelemetry/api";
import { MeterProvider, MetricReader, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { Exemplars } from "./exemplars.ts";
import { ExportLog } from "./export-log.ts";
import { type ExpositionFormat, writeExposition } from "./exposition.ts";
import { LazyMetricExporter } from "./lazy-metric-exporter.ts";
import type { Logger } from "./logger.ts";
import { atMost, SHUTDOWN_MS } from "./patience.ts";
import { observeProcess } from "./process-metrics.ts";
import { serviceResource } from "./resource.ts";

export interface Metrics {
  /** Where instruments are created. No attribute may hold a user, an address, a port or an allocation id. */
  readonly meter: Meter;
  /** Every instrument's value now, in Prometheus text format unless told. */
  collect(format?: ExpositionFormat): Promise<string>;
  /** Exports what there is, if anything is exported, for 2 s at most. */
  shutdown(): Promise<void>;
}

export interface MetricsOptions {
  /** Becomes `service_name` of `target_info`, unless OTEL_SERVICE_NAME names another. */
  readonly service: string;
  /** Whether the instruments of the process (CPU, memory, descriptors, event loop) are there. Default: true. */
  readonly process?: boolean;
  /** Where they are exported to beside being collected. Default: nowhere. */
  readonly access?: TelemetryAccess;
  /** Told of exports that fail. */
  readonly logger?: Logger;
}

/** Metrics of one service: OpenTelemetry instruments, read as Prometheus text and exported over OTLP. */
export function createMetrics(options: MetricsOptions): Metrics {
  const { service, access, logger } = options;
  const reader = new PullReader();
  const target = access?.metrics;
  const exporting =
    target === undefined
      ? []
      : [
          new PeriodicExportingMetricReader({
            exporter: new LazyMetricExporter(target, new ExportLog("metrics", logger)),
            exportIntervalMillis: target.intervalMs,
            exportTimeoutMillis: Math.min(target.timeoutMs, target.intervalMs),
          }),
        ];
  const provider = new MeterProvider({
    resource: serviceResource(service, access?.resource),
    readers: [reader, ...exporting],
  });
  const exemplars = new Exemplars();
  const meter = exemplars.meter(provider.getMeter("culvert"));
  const stopObserving = options.process === false ? undefined : observeProcess(meter);
  return {
    meter,
    collect: async (format = "text") => writeExposition((await reader.collect()).resourceMetrics, format, exemplars),
    shutdown: async () => {
      stopObserving?.();
      await atMost(SHUTDOWN_MS, provider.shutdown());
    },
  };
}

/** Reads when it is asked to. */
class PullReader extends MetricReader {
  protected override async onShutdown(): Promise<void> {}
  protected override async onForceFlush(): Promise<void> {}
}
