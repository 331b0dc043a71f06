import type { Alert } from "./rule.ts";
import { histogram, sample } from "./sample.ts";

/** The same expression over the metrics of several services. */
const each = (services: readonly string[], expr: (service: string) => string): string =>
  services.map((service) => expr(service)).join(" or ");

const WITH_REDIS = ["relay", "credential"];
const WITH_NATS = ["relay", "credential", "signaling"];

export const BACKENDS: readonly Alert[] = [
  {
    name: "CulvertRedisDown",
    severity: "critical",
    for: "1m",
    expr: each(WITH_REDIS, (service) => `culvert_${service}_redis_up == 0`),
    summary: "Redis does not answer",
    description:
      "{{ $labels.instance }} has not reached Redis for a minute. Live calls go on; new allocations follow fleet.onStateLoss.",
    fires: [sample("culvert_relay_redis_up", "1x5 0x30")],
    quiet: [sample("culvert_relay_redis_up", "1x30"), sample("culvert_credential_redis_up", "1x30")],
  },
  {
    name: "CulvertRedisSlow",
    severity: "warning",
    for: "5m",
    expr: each(WITH_REDIS, (service) => `culvert:${service}_redis_request_duration_seconds:p99_rate5m > 0.25`),
    summary: "Redis answers slowly",
    description:
      "One command of a hundred of {{ $labels.instance }} takes Redis more than {{ $value | humanizeDuration }}.",
    fires: histogram("culvert_relay_redis_request_duration_seconds", "1"),
    quiet: histogram("culvert_relay_redis_request_duration_seconds", "0.1"),
  },
  {
    name: "CulvertRedisErrors",
    severity: "warning",
    for: "5m",
    expr: each(
      WITH_REDIS,
      (service) =>
        `sum by (namespace, instance, reason) (rate(culvert_${service}_redis_errors_total{reason!="down"}[5m])) > 0.5`,
    ),
    summary: "Redis does not do what it is asked",
    description: "{{ $value | humanize }} commands a second of {{ $labels.instance }} fail ({{ $labels.reason }}).",
    fires: [sample("culvert_credential_redis_errors_total", "0+60x30", 'reason="timeout"')],
    quiet: [
      sample("culvert_credential_redis_errors_total", "0+600x30", 'reason="down"'),
      sample("culvert_relay_redis_errors_total", "0+1x30", 'reason="timeout"'),
    ],
  },
  {
    name: "CulvertNatsDown",
    severity: "warning",
    for: "2m",
    expr: each(WITH_NATS, (service) => `culvert_${service}_nats_up == 0`),
    summary: "NATS does not answer",
    description:
      "{{ $labels.instance }} has not reached NATS for 2 minutes: replicas of signaling do not reach one another, usage events wait.",
    fires: [sample("culvert_signaling_nats_up", "1x5 0x30")],
    quiet: [sample("culvert_signaling_nats_up", "1x30"), sample("culvert_relay_nats_up", "1x30")],
  },
  {
    name: "CulvertNatsSlow",
    severity: "warning",
    for: "10m",
    expr: each(
      WITH_NATS,
      (service) =>
        `histogram_quantile(0.99, sum by (namespace, instance, le) (rate(culvert_${service}_nats_round_trip_seconds_bucket[10m]))) > 0.5`,
    ),
    summary: "NATS answers slowly",
    description: "Pings of {{ $labels.instance }} take NATS up to {{ $value | humanizeDuration }}.",
    fires: histogram("culvert_signaling_nats_round_trip_seconds", "1"),
    quiet: histogram("culvert_signaling_nats_round_trip_seconds", "0.1"),
  },
  {
    name: "CulvertBackendFlapping",
    severity: "warning",
    expr: [
      ...WITH_REDIS.map((service) => `increase(culvert_${service}_redis_reconnects_total[30m]) > 5`),
      ...WITH_NATS.map((service) => `increase(culvert_${service}_nats_reconnects_total[30m]) > 5`),
    ].join(" or "),
    summary: "The way to Redis or NATS comes and goes",
    description: "{{ $labels.instance }} has reconnected {{ $value | humanize }} times in 30 minutes.",
    fires: [sample("culvert_relay_nats_reconnects_total", "0+1x40")],
    quiet: [
      sample("culvert_relay_nats_reconnects_total", "0x10 2x30"),
      sample("culvert_relay_redis_reconnects_total", "9x40"),
    ],
    at: "35m",
  },
  {
    name: "CulvertRelayWriteBehindGrowing",
    severity: "warning",
    for: "5m",
    expr: "culvert_relay_write_behind_queue > 2000",
    summary: "Changes of allocations are not written",
    description:
      "{{ $value | humanize }} changes of {{ $labels.instance }} wait for Redis: a relay that ends now takes them with it.",
    fires: [sample("culvert_relay_write_behind_queue", "5000x30")],
    quiet: [sample("culvert_relay_write_behind_queue", "300x30")],
  },
  {
    name: "CulvertRelayWritesDropped",
    severity: "warning",
    expr: "increase(culvert_relay_write_behind_dropped_total[15m]) > 0",
    summary: "Deletions were left out of Redis",
    description:
      "{{ $labels.instance }} left {{ $value | humanize }} deletions to the records' own expiry: Redis was away for long.",
    fires: [sample("culvert_relay_write_behind_dropped_total", "0x10 50x20")],
    quiet: [sample("culvert_relay_write_behind_dropped_total", "50x60")],
  },
  {
    name: "CulvertRelayUsageEventsWaiting",
    severity: "warning",
    for: "10m",
    expr: "culvert_relay_usage_events_waiting > 10000",
    summary: "Usage events are not stored",
    description:
      "{{ $value | humanize }} usage events of {{ $labels.instance }} wait for JetStream; beyond 100,000 the oldest are dropped.",
    fires: [sample("culvert_relay_usage_events_waiting", "20000x30")],
    quiet: [sample("culvert_relay_usage_events_waiting", "500x30")],
  },
  {
    name: "CulvertRelayUsageEventsLost",
    severity: "warning",
    expr: 'increase(culvert_relay_usage_events_total{outcome="dropped"}[15m]) > 0',
    summary: "Usage events were lost",
    description: "{{ $labels.instance }} dropped {{ $value | humanize }} usage events in 15 minutes.",
    fires: [sample("culvert_relay_usage_events_total", "0x10 50x20", 'outcome="dropped"')],
    quiet: [sample("culvert_relay_usage_events_total", "0+50x30", 'outcome="stored"')],
  },
];
