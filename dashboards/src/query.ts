/** A query of a panel. `legend` is Grafana's: `{{label}}` stands for a label's value. */
export interface Query {
  readonly expr: string;
  readonly legend: string;
}

/** What the variables of a dashboard select. */
const SELECTED = 'namespace=~"$namespace",instance=~"$instance"';

/** The selected series of a metric, with further matchers perhaps: `code="401"`. */
export function series(metric: string, matchers = ""): string {
  return `${metric}{${SELECTED}${matchers === "" ? "" : `,${matchers}`}}`;
}

/** What a counter of the selected series grows by in a second. */
export function rate(metric: string, matchers = ""): string {
  return `rate(${series(metric, matchers)}[$__rate_interval])`;
}

/** The same, added up by labels, or over all. */
export function rateBy(labels: readonly string[], metric: string, matchers = ""): string {
  return `${sumBy(labels)} (${rate(metric, matchers)})`;
}

export function sumBy(labels: readonly string[]): string {
  return labels.length === 0 ? "sum" : `sum by (${labels.join(", ")})`;
}

/** What a counter has grown by over the time that the dashboard shows. Nothing counts as 0. */
export function countOf(metric: string, matchers = ""): string {
  return `sum(increase(${series(metric, matchers)}[$__range])) or vector(0)`;
}

/** A quantile of a histogram, by labels. */
export function quantile(q: number, labels: readonly string[], metric: string, matchers = ""): string {
  const by = ["le", ...labels].join(", ");
  return `histogram_quantile(${q}, sum by (${by}) (rate(${series(`${metric}_bucket`, matchers)}[$__rate_interval])))`;
}

/** The quantiles that a latency panel shows. */
export function quantiles(metric: string, matchers = ""): readonly Query[] {
  return [0.5, 0.9, 0.99].map((q) => ({ expr: quantile(q, [], metric, matchers), legend: `p${q * 100}` }));
}
