import type { OtlpTarget } from "@culvert/config";
import type { PushMetricExporter, ResourceMetrics } from "@opentelemetry/sdk-metrics";
import type { ExportLog } from "./export-log.ts";

type Result = Parameters<Parameters<PushMetricExporter["export"]>[1]>[0];

/** Loads the exporter with the first export: a process that starts has better things to do. */
export class LazyMetricExporter implements PushMetricExporter {
  readonly #target: OtlpTarget;
  readonly #log: ExportLog;
  #exporter: Promise<PushMetricExporter> | undefined;

  constructor(target: OtlpTarget, log: ExportLog) {
    this.#target = target;
    this.#log = log;
  }

  export(metrics: ResourceMetrics, done: (result: Result) => void): void {
    this.#exporter ??= import("./otlp.ts").then(({ metricExporter }) => metricExporter(this.#target));
    this.#exporter.then(
      (exporter) =>
        exporter.export(metrics, (result) => {
          if (result.error === undefined) this.#log.succeeded();
          else this.#log.failed(result.error);
          // What failed is logged already, and counters make up for it with the next export.
          done({ code: 0 });
        }),
      (error: unknown) => {
        this.#log.failed(error instanceof Error ? error : new Error(String(error)));
        done({ code: 0 });
      },
    );
  }

  async forceFlush(): Promise<void> {
    await (await this.#exporter)?.forceFlush();
  }

  async shutdown(): Promise<void> {
    await (await this.#exporter)?.shutdown();
  }
}
