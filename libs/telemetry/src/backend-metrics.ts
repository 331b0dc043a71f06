import type { Meter } from "@opentelemetry/api";

/** How an exchange with a backend failed. */
export type BackendFailure =
  /** Not connected: nothing was sent. */
  | "down"
  /** Too much waits for an answer already: nothing was sent. */
  | "overload"
  /** No answer in time. */
  | "timeout"
  /** An error in place of an answer, or the connection was lost. */
  | "error";

/** Told of what goes between this process and one backend, and counts it. */
export interface BackendMetrics {
  /** One command, script or pipeline was answered after so many seconds. */
  exchanged(seconds: number): void;
  failed(how: BackendFailure): void;
  /** It answers from now on. */
  connected(): void;
  /** It does not answer any more. */
  lost(): void;
}

export interface BackendMetricsOptions {
  /** What the names begin with, such as `culvert_relay_redis`. */
  readonly prefix: string;
  /** For people: Redis, NATS. */
  readonly backend: string;
  /** Name of the histogram after the prefix, and what it holds. */
  readonly latency: { readonly name: string; readonly description: string };
  /** Failures that there can be: they are counted from 0. */
  readonly failures: readonly BackendFailure[];
}

/** From a backend on the same host to one that is about to be given up. */
const SECONDS_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/** Creates the instruments of one backend: whether it answers, how fast, what fails, how often it came back. */
export function createBackendMetrics(meter: Meter, options: BackendMetricsOptions): BackendMetrics {
  const { prefix, backend, latency } = options;
  const seconds = meter.createHistogram(`${prefix}_${latency.name}`, {
    description: latency.description,
    advice: { explicitBucketBoundaries: SECONDS_BUCKETS },
  });
  const failures = new Map<BackendFailure, number>(options.failures.map((reason) => [reason, 0]));
  let up = false;
  let connections = 0;
  meter
    .createObservableGauge(`${prefix}_up`, { description: `1 while ${backend} answers` })
    .addCallback((result) => result.observe(up ? 1 : 0));
  meter
    .createObservableCounter(`${prefix}_errors_total`, {
      description: `What ${backend} was to answer and did not, by reason`,
    })
    .addCallback((result) => {
      for (const [reason, count] of failures) result.observe(count, { reason });
    });
  meter
    .createObservableCounter(`${prefix}_reconnects_total`, {
      description: `Times that ${backend} answered again after it had not`,
    })
    .addCallback((result) => result.observe(Math.max(connections - 1, 0)));
  return {
    exchanged: (duration) => seconds.record(duration),
    failed: (how) => failures.set(how, (failures.get(how) ?? 0) + 1),
    connected: () => {
      if (!up) connections++;
      up = true;
    },
    lost: () => {
      up = false;
    },
  };
}

/** Instruments of a connection to Redis, `<prefix>_redis_…`. */
export function createRedisMetrics(meter: Meter, prefix: string): BackendMetrics {
  return createBackendMetrics(meter, {
    prefix: `${prefix}_redis`,
    backend: "Redis",
    latency: {
      name: "request_duration_seconds",
      description: "Time from a command, script or pipeline to Redis's answer",
    },
    failures: ["down", "overload", "timeout", "error"],
  });
}

/** Instruments of a connection to NATS, `<prefix>_nats_…`. */
export function createNatsMetrics(meter: Meter, prefix: string): BackendMetrics {
  return createBackendMetrics(meter, {
    prefix: `${prefix}_nats`,
    backend: "NATS",
    latency: { name: "round_trip_seconds", description: "Time from a ping to NATS's pong, every few seconds" },
    failures: ["timeout", "error"],
  });
}
