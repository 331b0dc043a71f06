import type { Attributes } from "@opentelemetry/api";
import {
  type DataPoint,
  DataPointType,
  type Histogram,
  type MetricData,
  type ResourceMetrics,
} from "@opentelemetry/sdk-metrics";
import type { Exemplar, Exemplars } from "./exemplars.ts";

/** Prometheus text 0.0.4, or OpenMetrics 1.0.0, which has exemplars. */
export type ExpositionFormat = "text" | "openmetrics";

export const EXPOSITION_TYPES: Readonly<Record<ExpositionFormat, string>> = {
  text: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

/** The format that an Accept header prefers. */
export function negotiateExposition(accept: string | undefined): ExpositionFormat {
  const quality = (type: string): number =>
    Math.max(
      0,
      ...(accept ?? "").split(",").map((part) => {
        const [name = "", ...parameters] = part.split(";").map((word) => word.trim().toLowerCase());
        if (name !== type) return 0;
        const q = parameters.find((parameter) => parameter.startsWith("q="));
        return q === undefined ? 1 : Number(q.slice(2)) || 0;
      }),
    );
  const openmetrics = quality("application/openmetrics-text");
  return openmetrics > 0 && openmetrics >= quality("text/plain") ? "openmetrics" : "text";
}

/** Writes what a reader has collected. Series of one instrument differ in their attributes only, in both formats. */
export function writeExposition(
  { resource, scopeMetrics }: ResourceMetrics,
  format: ExpositionFormat,
  exemplars: Exemplars,
): string {
  const lines: string[] = [];
  const info = sample("target_info", resource.attributes, 1);
  if (format === "text") lines.push("# HELP target_info Target metadata", "# TYPE target_info gauge", info);
  else lines.push("# HELP target Target metadata", "# TYPE target info", info);
  for (const { metrics } of scopeMetrics) {
    for (const metric of metrics) lines.push(...family(metric, format, exemplars));
  }
  if (format === "openmetrics") lines.push("# EOF");
  return `${lines.join("\n")}\n`;
}

function* family(metric: MetricData, format: ExpositionFormat, exemplars: Exemplars): Generator<string> {
  const { descriptor } = metric;
  const isCounter = metric.dataPointType === DataPointType.SUM && metric.isMonotonic;
  const plain = sanitized(descriptor.name);
  const name = isCounter && !plain.endsWith("_total") ? `${plain}_total` : plain;
  const shown = isCounter && format === "openmetrics" ? name.slice(0, -"_total".length) : name;
  const help = format === "openmetrics" ? escapeValue(descriptor.description) : escapeHelp(descriptor.description);
  const type =
    metric.dataPointType === DataPointType.HISTOGRAM || metric.dataPointType === DataPointType.EXPONENTIAL_HISTOGRAM
      ? "histogram"
      : isCounter
        ? "counter"
        : "gauge";
  yield `# HELP ${shown} ${help}`;
  yield `# TYPE ${shown} ${type}`;
  const find = (attributes: Attributes, bucket: number): Exemplar | undefined =>
    format === "openmetrics" ? exemplars.find(descriptor.name, attributes, bucket) : undefined;
  if (metric.dataPointType === DataPointType.HISTOGRAM) {
    for (const point of metric.dataPoints) yield* histogram(name, point, find);
  } else if (metric.dataPointType !== DataPointType.EXPONENTIAL_HISTOGRAM) {
    for (const { attributes, value } of metric.dataPoints) {
      const exemplar = isCounter ? find(attributes, 0) : undefined;
      yield sample(name, attributes, value) + exemplarText(exemplar);
    }
  }
}

function* histogram(
  name: string,
  { attributes, value }: DataPoint<Histogram>,
  find: (attributes: Attributes, bucket: number) => Exemplar | undefined,
): Generator<string> {
  const { boundaries, counts } = value.buckets;
  let below = 0;
  for (const [index, count] of counts.entries()) {
    below += count;
    const le = index < boundaries.length ? number(boundaries[index] ?? 0) : "+Inf";
    yield sample(`${name}_bucket`, { ...attributes, le }, below) + exemplarText(find(attributes, index));
  }
  if (value.sum !== undefined) yield sample(`${name}_sum`, attributes, value.sum);
  yield sample(`${name}_count`, attributes, value.count);
}

function sample(name: string, attributes: Attributes, value: number): string {
  const labels = Object.entries(attributes).map(
    ([key, text]) => `${sanitized(key)}="${escapeValue(typeof text === "string" ? text : JSON.stringify(text))}"`,
  );
  return `${name}${labels.length === 0 ? "" : `{${labels.join(",")}}`} ${number(value)}`;
}

function exemplarText(exemplar: Exemplar | undefined): string {
  if (exemplar === undefined) return "";
  const { traceId, spanId, value, at } = exemplar;
  return ` # {trace_id="${traceId}",span_id="${spanId}"} ${number(value)} ${at.toFixed(3)}`;
}

function number(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  return value === Number.NEGATIVE_INFINITY ? "-Inf" : String(value);
}

function sanitized(name: string): string {
  return name.replace(/[^A-Za-z0-9_]/g, "_").replace(/_{2,}/g, "_");
}

function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function escapeValue(text = ""): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}
