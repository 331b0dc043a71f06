import type { Meter } from "@opentelemetry/api";
import { PrometheusExporter, PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { observeProcess } from "./process-metrics.ts";

export interface Metrics {
  /** Where instruments are created. No attribute may hold a user, an address, a port or an allocation id. */
  readonly meter: Meter;
  /** Every instrument's value now, in Prometheus text format. */
  collect(): Promise<string>;
  shutdown(): Promise<void>;
}

export interface MetricsOptions {
  /** Becomes `service_name` of `target_info`. */
  readonly service: string;
  /** Whether the instruments of the process (CPU, memory, descriptors, event loop) are there. Default: true. */
  readonly process?: boolean;
}

/** Metrics of one service: OpenTelemetry instruments, read as Prometheus text. */
export function createMetrics(options: MetricsOptions): Metrics {
  const reader = new PrometheusExporter({ preventServerStart: true });
  const serializer = new PrometheusSerializer("", false, undefined, false, true);
  const provider = new MeterProvider({
    resource: resourceFromAttributes({ "service.name": options.service, "service.namespace": "culvert" }),
    readers: [reader],
  });
  const meter = provider.getMeter("culvert");
  const stopObserving = options.process === false ? undefined : observeProcess(meter);
  return {
    meter,
    collect: async () => serializer.serialize((await reader.collect()).resourceMetrics),
    shutdown: async () => {
      stopObserving?.();
      await provider.shutdown();
    },
  };
}
