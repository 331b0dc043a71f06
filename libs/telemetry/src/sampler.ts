import type { Attributes, Context, Link, SpanKind } from "@opentelemetry/api";
import {
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  SamplingDecision,
  type SamplingResult,
  TraceIdRatioBasedSampler,
} from "@opentelemetry/sdk-trace";

export interface SamplerOptions {
  /** Of the traces that begin here; 0 to 1. */
  readonly sampleRatio: number;
  /** Traced entries a second, whoever decided that they are. */
  readonly maxPerSecond: number;
  /** Milliseconds; never going back. */
  readonly clock: () => number;
}

/** A ratio where a trace begins, the caller's decision where it goes on, and no more than so many a second of both. */
export function edgeSampler({ sampleRatio, maxPerSecond, clock }: SamplerOptions): Sampler {
  const mayEnter = bucket(maxPerSecond, clock);
  return new ParentBasedSampler({
    root: new LimitedSampler(new TraceIdRatioBasedSampler(sampleRatio), mayEnter),
    remoteParentSampled: new LimitedSampler(new AlwaysOnSampler(), mayEnter),
  });
}

class LimitedSampler implements Sampler {
  readonly #inner: Sampler;
  readonly #mayEnter: () => boolean;

  constructor(inner: Sampler, mayEnter: () => boolean) {
    this.#inner = inner;
    this.#mayEnter = mayEnter;
  }

  shouldSample(
    parent: Context,
    traceId: string,
    name: string,
    kind: SpanKind,
    attributes: Attributes,
    links: Link[],
  ): SamplingResult {
    const result = this.#inner.shouldSample(parent, traceId, name, kind, attributes, links);
    if (result.decision === SamplingDecision.NOT_RECORD || this.#mayEnter()) return result;
    return { decision: SamplingDecision.NOT_RECORD };
  }

  toString(): string {
    return `Limited{${this.#inner.toString()}}`;
  }
}

/** A token bucket that is full at the start and holds one second's worth. */
function bucket(perSecond: number, clock: () => number): () => boolean {
  const most = Math.max(1, perSecond);
  let tokens = most;
  let filledAt = clock();
  return () => {
    const now = clock();
    tokens = Math.min(most, tokens + ((now - filledAt) / 1000) * perSecond);
    filledAt = now;
    if (tokens < 1) return false;
    tokens -= 1;
    return true;
  };
}
