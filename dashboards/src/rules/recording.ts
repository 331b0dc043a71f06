import type { RecordingGroup } from "./rule.ts";

/** Relays that take new allocations. */
const serving = (metric: string): string => `${metric} unless on (namespace, instance) culvert_relay_draining == 1`;

/** What alerts and autoscalers read, computed once. */
export const RECORDING_GROUPS: readonly RecordingGroup[] = [
  {
    name: "culvert-relay.rules",
    rules: [
      {
        record: "culvert:relay_allocations:ratio",
        expr: `sum by (namespace) (${serving("culvert_relay_allocations")}) / sum by (namespace) (${serving("culvert_relay_allocations_capacity")})`,
      },
      {
        record: "culvert:relay_requests:rate5m",
        expr: 'sum by (namespace, method, result, code) (rate(culvert_relay_requests_total{result!="challenge"}[5m]))',
      },
      {
        record: "culvert:relay_requests_failed:ratio_rate5m",
        expr: 'sum by (namespace) (culvert:relay_requests:rate5m{result="failed",code!="508"}) / sum by (namespace) (culvert:relay_requests:rate5m)',
      },
      {
        record: "culvert:relay_allocate_duration_seconds:p99_rate5m",
        expr: 'histogram_quantile(0.99, sum by (namespace, le) (rate(culvert_relay_request_duration_seconds_bucket{method="Allocate"}[5m])))',
      },
      {
        record: "culvert:relay_packets:rate5m",
        expr: "sum by (namespace, instance) (rate(culvert_relay_relayed_packets_total[5m]))",
      },
    ],
  },
  {
    name: "culvert-backends.rules",
    rules: [
      ...["relay", "credential"].map((service) => ({
        record: `culvert:${service}_redis_request_duration_seconds:p99_rate5m`,
        expr: `histogram_quantile(0.99, sum by (namespace, instance, le) (rate(culvert_${service}_redis_request_duration_seconds_bucket[5m])))`,
      })),
      {
        record: "culvert:credential_http_requests_failed:ratio_rate5m",
        expr: 'sum by (namespace) (rate(culvert_credential_http_requests_total{status=~"5.."}[5m])) / sum by (namespace) (rate(culvert_credential_http_requests_total[5m]))',
      },
    ],
  },
];
