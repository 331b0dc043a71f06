/** What a Prometheus endpoint tells at one moment. */
export class Metrics {
  readonly #samples: readonly { readonly name: string; readonly labels: string; readonly value: number }[];

  constructor(text: string) {
    this.#samples = [...text.matchAll(/^([a-z_]\w*)(?:\{(.*)\})? (\S+)/gm)].map(
      ([, name = "", labels = "", value]) => ({
        name,
        labels,
        value: Number(value),
      }),
    );
  }

  /** The sum of all samples of a metric with these labels; 0 where there is none. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    const wanted = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
    return this.#samples
      .filter((sample) => sample.name === name && wanted.every((label) => sample.labels.split(",").includes(label)))
      .reduce((total, { value }) => total + value, 0);
  }
}

export async function scrape(port: number): Promise<Metrics> {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`, { signal: AbortSignal.timeout(10_000) });
  if (!response.ok) throw new Error(`/metrics: HTTP ${response.status}`);
  return new Metrics(await response.text());
}
