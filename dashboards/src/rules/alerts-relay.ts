import type { Alert } from "./rule.ts";
import { histogram, sample, target } from "./sample.ts";

/** Our instances, with the name of their service. */
const OURS = 'max by (namespace, job, instance, service_name) (target_info{service_namespace="culvert"})';
const withService = (expr: string): string =>
  `(${expr}) * on (namespace, job, instance) group_left (service_name) ${OURS}`;

const requests = (result: string, code: string, values: string) =>
  sample("culvert_relay_requests_total", values, `method="Allocate",result="${result}",code="${code}"`);

export const AVAILABILITY: readonly Alert[] = [
  {
    name: "CulvertTargetDown",
    severity: "critical",
    for: "2m",
    expr: '(up == 0) * on (namespace, job, instance) group_left (service_name) max by (namespace, job, instance, service_name) (last_over_time(target_info{service_namespace="culvert"}[1h]))',
    summary: "A process of Culvert does not answer",
    description: "{{ $labels.service_name }} at {{ $labels.instance }} has not answered Prometheus for 2 minutes.",
    fires: [
      sample("up", "1x5 0x30"),
      sample("target_info", "1x5 _x30", 'service_namespace="culvert",service_name="relay"'),
    ],
    quiet: [sample("up", "1x5 0x30"), sample("target_info", "1x5 _x30", 'service_namespace="other",service_name="x"')],
  },
  {
    name: "CulvertNoRelay",
    severity: "critical",
    for: "5m",
    expr: "absent(culvert_relay_allocations)",
    summary: "No relay is there",
    description: "No relay has been scraped for 5 minutes: calls that need one fail, or nobody sees them.",
    fires: [],
    quiet: [sample("culvert_relay_allocations", "0x30")],
  },
  {
    name: "CulvertRelayNotServing",
    severity: "critical",
    for: "5m",
    expr: "culvert_relay_slots_held == 0 and on (namespace, instance) culvert_relay_draining == 0",
    summary: "A relay of the fleet has no slots",
    description: "{{ $labels.instance }} has held no slot for 5 minutes: it relays for nobody and is not ready.",
    fires: [sample("culvert_relay_slots_held", "0x30"), sample("culvert_relay_draining", "0x30")],
    quiet: [
      sample("culvert_relay_slots_held", "0x30"),
      sample("culvert_relay_draining", "1x30"),
      sample("culvert_relay_slots_held", "32x30", "", "j"),
      sample("culvert_relay_draining", "0x30", "", "j"),
    ],
  },
];

export const CAPACITY: readonly Alert[] = [
  {
    name: "CulvertRelayCapacityLow",
    severity: "warning",
    for: "15m",
    expr: "culvert:relay_allocations:ratio > 0.8",
    summary: "The relays are nearly full",
    description: "{{ $value | humanizePercentage }} of the allocations that the relays have room for are there.",
    fires: [sample("culvert_relay_allocations", "90x30"), sample("culvert_relay_allocations_capacity", "100x30")],
    quiet: [sample("culvert_relay_allocations", "70x30"), sample("culvert_relay_allocations_capacity", "100x30")],
  },
  {
    name: "CulvertRelayCapacityExhausted",
    severity: "critical",
    for: "5m",
    expr: 'sum by (namespace) (rate(culvert_relay_requests_total{code="508"}[5m])) > 0',
    summary: "Clients find no room on any relay",
    description: "{{ $value | humanize }} requests a second are answered with 508 (Insufficient Capacity).",
    fires: [requests("failed", "508", "0+6x30")],
    quiet: [requests("failed", "508", "6x30"), requests("redirect", "300", "0+6x30")],
  },
  {
    name: "CulvertRelayPortsLow",
    severity: "warning",
    for: "10m",
    expr: "culvert_relay_ports_used / culvert_relay_ports_capacity > 0.9",
    summary: "A relay runs out of ports",
    description: "{{ $labels.instance }} has {{ $value | humanizePercentage }} of its relayed ports in use.",
    fires: [sample("culvert_relay_ports_used", "95x30"), sample("culvert_relay_ports_capacity", "100x30")],
    quiet: [sample("culvert_relay_ports_used", "85x30"), sample("culvert_relay_ports_capacity", "100x30")],
  },
  {
    name: "CulvertDescriptorsLow",
    severity: "warning",
    for: "10m",
    expr: `${withService("process_open_fds / process_max_fds")} > 0.85`,
    summary: "A process runs out of file descriptors",
    description:
      "{{ $labels.service_name }} at {{ $labels.instance }} has {{ $value | humanizePercentage }} of its file descriptors open.",
    fires: [sample("process_open_fds", "950x30"), sample("process_max_fds", "1000x30"), target("relay")],
    quiet: [
      sample("process_open_fds", "800x30"),
      sample("process_max_fds", "1000x30"),
      target("relay"),
      sample("process_open_fds", "999x30", "", "somebody-else"),
      sample("process_max_fds", "1000x30", "", "somebody-else"),
    ],
  },
  {
    name: "CulvertMemoryHigh",
    severity: "warning",
    for: "15m",
    expr: `${withService("process_resident_memory_bytes / process_memory_limit_bytes")} > 0.9`,
    summary: "A process is about to be killed for its memory",
    description:
      "{{ $labels.service_name }} at {{ $labels.instance }} uses {{ $value | humanizePercentage }} of the memory that its control group may use.",
    fires: [
      sample("process_resident_memory_bytes", "95x40"),
      sample("process_memory_limit_bytes", "100x40"),
      target("relay"),
    ],
    quiet: [
      sample("process_resident_memory_bytes", "85x40"),
      sample("process_memory_limit_bytes", "100x40"),
      target("relay"),
    ],
  },
  {
    name: "CulvertEventLoopSlow",
    severity: "warning",
    for: "10m",
    expr: `${withService('nodejs_eventloop_delay_seconds{stat="p99"}')} > 0.2`,
    summary: "A process answers late",
    description:
      "The event loop of {{ $labels.service_name }} at {{ $labels.instance }} is late by {{ $value | humanizeDuration }} (p99).",
    fires: [sample("nodejs_eventloop_delay_seconds", "0.4x30", 'stat="p99"'), target("relay")],
    quiet: [
      sample("nodejs_eventloop_delay_seconds", "0.03x30", 'stat="p99"'),
      sample("nodejs_eventloop_delay_seconds", "2x30", 'stat="max"'),
      target("relay"),
    ],
  },
  {
    name: "CulvertRelayControlPathBusy",
    severity: "warning",
    for: "10m",
    expr: "rate(culvert_relay_control_busy_seconds_total[5m]) > 0.8",
    summary: "A relay's control path is at its limit",
    description: "{{ $labels.instance }} works on requests for {{ $value | humanizePercentage }} of the time.",
    fires: [sample("culvert_relay_control_busy_seconds_total", "0+54x30")],
    quiet: [sample("culvert_relay_control_busy_seconds_total", "0+40x30")],
  },
];

export const REQUESTS: readonly Alert[] = [
  {
    name: "CulvertRelayRequestsFailing",
    severity: "critical",
    for: "5m",
    expr: "culvert:relay_requests_failed:ratio_rate5m > 0.05",
    summary: "Relays answer with server errors",
    description: "{{ $value | humanizePercentage }} of the requests are answered with 5xx, 508 not counted.",
    fires: [requests("failed", "500", "0+6x30"), requests("success", "success", "0+60x30")],
    quiet: [
      requests("failed", "500", "0+1x30"),
      requests("failed", "508", "0+60x30"),
      requests("success", "success", "0+60x30"),
    ],
  },
  {
    name: "CulvertRelayAllocateSlow",
    severity: "warning",
    for: "10m",
    expr: "culvert:relay_allocate_duration_seconds:p99_rate5m > 1",
    summary: "Allocations take long",
    description: "One Allocate of a hundred takes more than {{ $value | humanizeDuration }}.",
    fires: histogram("culvert_relay_request_duration_seconds", "2.5", 'method="Allocate"'),
    quiet: histogram("culvert_relay_request_duration_seconds", "0.5", 'method="Allocate"'),
  },
  {
    name: "CulvertRelayAuthRejected",
    severity: "warning",
    for: "10m",
    expr: 'sum by (namespace) (rate(culvert_relay_auth_failures_total{reason!~"no-integrity|stale-nonce"}[5m])) / sum by (namespace) (culvert:relay_requests:rate5m{method="Allocate"}) > 0.25 and sum by (namespace) (rate(culvert_relay_auth_failures_total{reason!~"no-integrity|stale-nonce"}[5m])) > 0.2',
    summary: "Many credentials are rejected",
    description:
      "{{ $value | humanizePercentage }} of the requests for allocations come with a credential that is not accepted.",
    fires: [
      sample("culvert_relay_auth_failures_total", "0+30x30", 'reason="wrong-password"'),
      requests("refused", "401", "0+30x30"),
      requests("success", "success", "0+30x30"),
    ],
    quiet: [
      sample("culvert_relay_auth_failures_total", "0+6x30", 'reason="wrong-password"'),
      sample("culvert_relay_auth_failures_total", "0+60x30", 'reason="no-integrity"'),
      requests("refused", "401", "0+6x30"),
      requests("success", "success", "0+60x30"),
    ],
  },
  {
    name: "CulvertRelayQuotaReached",
    severity: "info",
    for: "15m",
    expr: 'sum by (namespace) (rate(culvert_relay_requests_total{code="486"}[5m])) > 0.1',
    summary: "Users have as many allocations as they may",
    description: "{{ $value | humanize }} requests a second are answered with 486 (Allocation Quota Reached).",
    fires: [requests("refused", "486", "0+12x40")],
    quiet: [requests("refused", "486", "0+1x40")],
  },
  {
    name: "CulvertRelayBindFailing",
    severity: "warning",
    for: "5m",
    expr: "sum by (namespace, instance) (increase(culvert_relay_bind_failures_total[10m])) > 10",
    summary: "A relay cannot open relay sockets",
    description: "{{ $labels.instance }} could not open {{ $value | humanize }} relay sockets in 10 minutes.",
    fires: [sample("culvert_relay_bind_failures_total", "0+5x30", 'reason="in-use"')],
    quiet: [sample("culvert_relay_bind_failures_total", "0+0.5x30", 'reason="in-use"')],
  },
  {
    name: "CulvertRelayAdminAuthFailures",
    severity: "warning",
    for: "5m",
    expr: "sum by (namespace, instance) (rate(culvert_relay_admin_auth_failures_total[5m])) > 0.1",
    summary: "Somebody without the token asks the operators' interface",
    description: "{{ $labels.instance }} turned away {{ $value | humanize }} requests a second to RelayService.",
    fires: [sample("culvert_relay_admin_auth_failures_total", "0+12x30")],
    quiet: [sample("culvert_relay_admin_auth_failures_total", "0+1x30")],
  },
  {
    name: "CulvertRelayPeersDangerouslyAllowed",
    severity: "info",
    for: "5m",
    expr: "culvert_relay_peers_dangerously_allowed > 0",
    summary: "A relay lets clients reach ranges that are never peers",
    description:
      "{{ $labels.instance }} opens {{ $value }} ranges by peers.dangerouslyAllow: loopback, link-local or metadata addresses.",
    fires: [sample("culvert_relay_peers_dangerously_allowed", "1x30")],
    quiet: [sample("culvert_relay_peers_dangerously_allowed", "0x30")],
  },
];

export const DATA_PLANE: readonly Alert[] = [
  {
    name: "CulvertRelayDataPlaneDrops",
    severity: "warning",
    for: "10m",
    expr: 'sum by (namespace, instance) (rate(culvert_relay_data_plane_dropped_total{reason=~"back-pressure|send-failed"}[5m])) / culvert:relay_packets:rate5m > 0.01',
    summary: "A relay cannot get rid of packets",
    description:
      "{{ $labels.instance }} drops {{ $value | humanizePercentage }} of the packets, since the network or the client takes no more.",
    fires: [
      sample("culvert_relay_data_plane_dropped_total", "0+180x30", 'reason="back-pressure"'),
      sample("culvert_relay_relayed_packets_total", "0+6000x30", 'direction="to_peer"'),
    ],
    quiet: [
      sample("culvert_relay_data_plane_dropped_total", "0+6x30", 'reason="back-pressure"'),
      sample("culvert_relay_data_plane_dropped_total", "0+1000x30", 'reason="no-permission"'),
      sample("culvert_relay_relayed_packets_total", "0+6000x30", 'direction="to_peer"'),
    ],
  },
  {
    name: "CulvertRelayKernelDrops",
    severity: "warning",
    for: "10m",
    expr: 'rate(culvert_relay_kernel_udp_errors_total{kind="receive-buffer"}[5m]) > 10',
    summary: "The kernel drops packets before the relay reads them",
    description:
      "{{ $value | humanize }} datagrams a second find a full socket buffer where {{ $labels.instance }} runs.",
    fires: [sample("culvert_relay_kernel_udp_errors_total", "0+1200x30", 'kind="receive-buffer"')],
    quiet: [sample("culvert_relay_kernel_udp_errors_total", "0+60x30", 'kind="receive-buffer"')],
  },
];
