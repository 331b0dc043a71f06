import { sourceKey } from "./source.ts";

interface Bucket {
  tokens: number;
  at: number;
}

/** Counts failures by source in token buckets. Remembers a bounded number of sources, the longest unseen go first. */
export class FailureLimiter {
  readonly #buckets: Map<string, Bucket> = new Map();
  readonly #options: { readonly burst: number; readonly perMinute: number; readonly maxSources: number };

  constructor(options: { readonly burst: number; readonly perMinute: number; readonly maxSources: number }) {
    this.#options = options;
  }

  /** Seconds that the source has to wait; 0 when it need not. */
  waitSeconds(ip: string, nowMs: number): number {
    const bucket = this.#buckets.get(sourceKey(ip));
    if (bucket === undefined) return 0;
    const tokens = this.#tokensOf(bucket, nowMs);
    return tokens >= 1 ? 0 : Math.ceil(((1 - tokens) * 60) / this.#options.perMinute);
  }

  /** Notes a failure. */
  fail(ip: string, nowMs: number): void {
    const source = sourceKey(ip);
    const known = this.#buckets.get(source);
    const tokens = known === undefined ? this.#options.burst : this.#tokensOf(known, nowMs);
    this.#buckets.delete(source);
    this.#buckets.set(source, { tokens: Math.max(0, tokens - 1), at: nowMs });
    if (this.#buckets.size <= this.#options.maxSources) return;
    const [oldest] = this.#buckets.keys();
    if (oldest !== undefined) this.#buckets.delete(oldest);
  }

  #tokensOf(bucket: Bucket, nowMs: number): number {
    const regained = (Math.max(0, nowMs - bucket.at) * this.#options.perMinute) / 60_000;
    return Math.min(this.#options.burst, bucket.tokens + regained);
  }
}
