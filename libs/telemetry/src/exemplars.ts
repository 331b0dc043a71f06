import {
  type Attributes,
  type Context,
  type Counter,
  context,
  type Histogram,
  type Meter,
  type SpanContext,
  TraceFlags,
  trace,
} from "@opentelemetry/api";

/** A measurement that a sampled trace tells more about. */
export interface Exemplar {
  readonly value: number;
  readonly traceId: string;
  readonly spanId: string;
  /** Seconds since the Unix epoch. */
  readonly at: number;
}

/** Sets of attributes for which exemplars are kept. Metrics have fewer. */
const MAX_SERIES = 2000;

/** The last measurement in a sampled trace, for each series of histograms and counters, and each bucket of its own. */
export class Exemplars {
  readonly #series = new Map<string, Map<number, Exemplar>>();

  /** A meter whose histograms and counters keep exemplars. Outside of sampled traces that costs a look. */
  meter(inner: Meter): Meter {
    return {
      createHistogram: (name, options) => {
        const bounds = options?.advice?.explicitBucketBoundaries ?? [];
        return this.#histogram(inner.createHistogram(name, options), name, bounds);
      },
      createCounter: (name, options) => this.#counter(inner.createCounter(name, options), name),
      createGauge: (name, options) => inner.createGauge(name, options),
      createUpDownCounter: (name, options) => inner.createUpDownCounter(name, options),
      createObservableGauge: (name, options) => inner.createObservableGauge(name, options),
      createObservableCounter: (name, options) => inner.createObservableCounter(name, options),
      createObservableUpDownCounter: (name, options) => inner.createObservableUpDownCounter(name, options),
      addBatchObservableCallback: (callback, observables) => inner.addBatchObservableCallback(callback, observables),
      removeBatchObservableCallback: (callback, observables) =>
        inner.removeBatchObservableCallback(callback, observables),
    };
  }

  /** @param bucket index of the bucket that the measurement is in; 0 of a counter */
  find(name: string, attributes: Attributes, bucket = 0): Exemplar | undefined {
    return this.#series.size === 0 ? undefined : this.#series.get(keyOf(name, attributes))?.get(bucket);
  }

  #histogram<Attrs extends Attributes>(
    histogram: Histogram<Attrs>,
    name: string,
    bounds: readonly number[],
  ): Histogram<Attrs> {
    return {
      record: (value, attributes, active) => {
        histogram.record(value, attributes, active);
        const span = sampled(active);
        if (span === undefined) return;
        const above = bounds.findIndex((bound) => value <= bound);
        this.#keep(span, name, attributes ?? {}, above === -1 ? bounds.length : above, value);
      },
    };
  }

  #counter<Attrs extends Attributes>(counter: Counter<Attrs>, name: string): Counter<Attrs> {
    return {
      add: (value, attributes, active) => {
        counter.add(value, attributes, active);
        const span = sampled(active);
        if (span !== undefined) this.#keep(span, name, attributes ?? {}, 0, value);
      },
    };
  }

  #keep({ traceId, spanId }: SpanContext, name: string, attributes: Attributes, bucket: number, value: number): void {
    const key = keyOf(name, attributes);
    let buckets = this.#series.get(key);
    if (buckets === undefined) {
      if (this.#series.size >= MAX_SERIES) return;
      buckets = new Map();
      this.#series.set(key, buckets);
    }
    buckets.set(bucket, { value, traceId, spanId, at: Date.now() / 1000 });
  }
}

function sampled(active: Context = context.active()): SpanContext | undefined {
  const span = trace.getSpanContext(active);
  return span === undefined || (span.traceFlags & TraceFlags.SAMPLED) === 0 ? undefined : span;
}

function keyOf(name: string, attributes: Attributes): string {
  return JSON.stringify([name, Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1))]);
}
