import { readFileSync } from "node:fs";

const GUIDE = new URL("../../docs/guides/metrics.md", import.meta.url);

export interface DocumentedMetric {
  readonly name: string;
  readonly type: string;
  readonly labels: readonly string[];
}

/** The rows of the guide's tables: `| name | type | labels | meaning |`. */
export function documentedMetrics(): readonly DocumentedMetric[] {
  const rows = readFileSync(GUIDE, "utf8").matchAll(/^\| `(\w+)` \| (\w+) \| ([^|]*) \|/gm);
  return [...rows].map(([, name = "", type = "", labels = ""]) => ({
    name,
    type,
    labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = ""]) => label),
  }));
}

/** What processes show: each metric with its type and all labels that any of its series has. */
export function shownMetrics(texts: readonly string[]): ReadonlyMap<string, DocumentedMetric> {
  const shown = new Map<string, { name: string; type: string; labels: string[] }>();
  for (const text of texts) {
    for (const [, name = "", type = ""] of text.matchAll(/^# TYPE (\w+) (\w+)$/gm)) {
      const metric = shown.get(name) ?? { name, type, labels: [] };
      shown.set(name, metric);
      const series = new RegExp(`^${name}(?:_bucket|_count|_sum)?\\{(.*)\\} `, "gm");
      for (const [, labels = ""] of text.matchAll(series)) {
        for (const [, label = ""] of labels.matchAll(/(\w+)="(?:[^"\\]|\\.)*"/g)) {
          if (label !== "le" && !metric.labels.includes(label)) metric.labels.push(label);
        }
      }
    }
  }
  return shown;
}
