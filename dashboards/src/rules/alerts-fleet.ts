import type { Alert } from "./rule.ts";
import { sample } from "./sample.ts";

export const SLOTS: readonly Alert[] = [
  {
    name: "CulvertRelaySlotsFenced",
    severity: "critical",
    for: "30s",
    expr: 'culvert_relay_slots{state="fenced"} > 0',
    summary: "A relay has fenced itself",
    description: "{{ $labels.instance }} relays nothing for {{ $value }} slots: it could not renew their leases.",
    fires: [sample("culvert_relay_slots", "0x5 4x30", 'state="fenced"')],
    quiet: [
      sample("culvert_relay_slots", "0x30", 'state="fenced"'),
      sample("culvert_relay_slots", "4x30", 'state="serving"'),
    ],
  },
  {
    name: "CulvertRelaySlotsUnstable",
    severity: "warning",
    expr: 'sum by (namespace, instance) (increase(culvert_relay_slots_total{event=~"lapsed|lost"}[15m])) > 3',
    summary: "A relay loses slots again and again",
    description:
      "{{ $labels.instance }} has lost {{ $value | humanize }} slots in 15 minutes, or their leases for a while.",
    fires: [sample("culvert_relay_slots_total", "0+1x30", 'event="lapsed"')],
    quiet: [
      sample("culvert_relay_slots_total", "0x10 1x20", 'event="lapsed"'),
      sample("culvert_relay_slots_total", "0+5x30", 'event="released"'),
    ],
  },
  {
    name: "CulvertRelaySlotsTakenOver",
    severity: "warning",
    expr: "sum by (namespace, instance) (increase(culvert_relay_slots_taken_over_total[15m])) > 0",
    summary: "A relay was lost, and others go on with its calls",
    description: "{{ $labels.instance }} has taken over {{ $value | humanize }} slots of another relay in 15 minutes.",
    fires: [sample("culvert_relay_slots_taken_over_total", "0x10 8x20")],
    quiet: [sample("culvert_relay_slots_taken_over_total", "8x60")],
  },
  {
    name: "CulvertRelayRestoreFailing",
    severity: "warning",
    expr: 'sum by (namespace, instance, reason) (increase(culvert_relay_restore_failures_total{reason!~"expired|revoked|exists|stream-gone"}[15m])) > 0',
    summary: "Calls were not carried on after a restart",
    description:
      "{{ $labels.instance }} could not go on with {{ $value | humanize }} allocations ({{ $labels.reason }}).",
    fires: [sample("culvert_relay_restore_failures_total", "0x10 7x20", 'reason="port-taken"')],
    quiet: [
      sample("culvert_relay_restore_failures_total", "0x10 7x20", 'reason="expired"'),
      sample("culvert_relay_restore_failures_total", "7x60", 'reason="port-taken"'),
    ],
  },
  {
    name: "CulvertRelayLeaseRenewalsFailing",
    severity: "warning",
    for: "2m",
    expr: 'sum by (namespace, instance) (rate(culvert_relay_lease_renewals_total{outcome="failed"}[2m])) / sum by (namespace, instance) (rate(culvert_relay_lease_renewals_total[2m])) > 0.2',
    summary: "A relay can hardly renew its leases",
    description:
      "{{ $value | humanizePercentage }} of the renewals of {{ $labels.instance }} fail. Without one for a lease's time it fences itself.",
    fires: [
      sample("culvert_relay_lease_renewals_total", "0+30x30", 'outcome="failed"'),
      sample("culvert_relay_lease_renewals_total", "0+60x30", 'outcome="ok"'),
    ],
    quiet: [
      sample("culvert_relay_lease_renewals_total", "0+3x30", 'outcome="failed"'),
      sample("culvert_relay_lease_renewals_total", "0+60x30", 'outcome="ok"'),
    ],
  },
  {
    name: "CulvertRelayClockOff",
    severity: "warning",
    for: "10m",
    expr: "abs(culvert_relay_fleet_time_offset_seconds) > 60",
    summary: "The clock of a relay's host is wrong",
    description: "The clock of {{ $labels.instance }} is {{ $value | humanizeDuration }} off the fleet's.",
    fires: [sample("culvert_relay_fleet_time_offset_seconds", "-300x30")],
    quiet: [sample("culvert_relay_fleet_time_offset_seconds", "-2x30")],
  },
];

export const MESH: readonly Alert[] = [
  {
    name: "CulvertRelayMeshPeersMissing",
    severity: "warning",
    for: "5m",
    expr: "culvert_relay_mesh_peers < on (namespace) group_left () (count by (namespace) (culvert_relay_mesh_peers) - 1)",
    summary: "A relay does not reach all the others",
    description:
      "{{ $labels.instance }} reaches {{ $value }} relays of its fleet: packets for clients of the others are lost there.",
    fires: [
      sample("culvert_relay_mesh_peers", "1x30", "", "a"),
      sample("culvert_relay_mesh_peers", "2x30", "", "b"),
      sample("culvert_relay_mesh_peers", "2x30", "", "c"),
    ],
    quiet: [sample("culvert_relay_mesh_peers", "1x30", "", "a"), sample("culvert_relay_mesh_peers", "1x30", "", "b")],
  },
  {
    name: "CulvertRelayMeshRefused",
    severity: "warning",
    for: "5m",
    expr: 'sum by (namespace, instance, reason) (rate(culvert_relay_data_plane_dropped_total{reason=~"mesh-auth|mesh-replay|mesh-refused"}[5m])) > 1',
    summary: "The mesh's port is sent what is not the fleet's",
    description:
      "{{ $labels.instance }} refuses {{ $value | humanize }} mesh datagrams a second ({{ $labels.reason }}).",
    fires: [sample("culvert_relay_data_plane_dropped_total", "0+120x30", 'reason="mesh-auth"')],
    quiet: [
      sample("culvert_relay_data_plane_dropped_total", "0+10x30", 'reason="mesh-auth"'),
      sample("culvert_relay_data_plane_dropped_total", "0+600x30", 'reason="mesh-unknown"'),
    ],
  },
  {
    name: "CulvertRelayUnknownSources",
    severity: "warning",
    for: "10m",
    expr: 'sum by (namespace, instance) (rate(culvert_relay_mesh_dropped_total{reason="limited"}[5m])) > 50',
    summary: "Somebody sends from many unknown 5-tuples",
    description:
      "{{ $labels.instance }} drops {{ $value | humanize }} packets a second of sources that ask for too many unknown 5-tuples.",
    fires: [sample("culvert_relay_mesh_dropped_total", "0+6000x30", 'reason="limited"')],
    quiet: [
      sample("culvert_relay_mesh_dropped_total", "0+60x30", 'reason="limited"'),
      sample("culvert_relay_mesh_dropped_total", "0+6000x30", 'reason="restoring"'),
    ],
  },
];

export const DRAINS: readonly Alert[] = [
  {
    name: "CulvertRelayDrainEnding",
    severity: "warning",
    expr: "culvert_relay_allocations and on (namespace, instance) (culvert_relay_drain_remaining_seconds > 0 < 120) and on (namespace, instance) culvert_relay_allocations > 0",
    summary: "A drain is about to cut live calls",
    description: "{{ $labels.instance }} stops within two minutes and still has {{ $value }} allocations.",
    fires: [
      sample("culvert_relay_allocations", "40x30"),
      sample("culvert_relay_drain_remaining_seconds", "1260-60x30"),
    ],
    quiet: [
      sample("culvert_relay_allocations", "0x30"),
      sample("culvert_relay_drain_remaining_seconds", "1260-60x30"),
      sample("culvert_relay_allocations", "40x30", "", "serving"),
      sample("culvert_relay_drain_remaining_seconds", "0x30", "", "serving"),
      sample("culvert_relay_allocations", "40x30", "", "draining"),
      sample("culvert_relay_drain_remaining_seconds", "7200-60x30", "", "draining"),
    ],
  },
  {
    name: "CulvertRelayDrainForgotten",
    severity: "info",
    for: "6h",
    expr: "culvert_relay_draining == 1 and on (namespace, instance) culvert_relay_drain_remaining_seconds == 0",
    summary: "A relay was drained and never undrained",
    description: "{{ $labels.instance }} has taken no new allocations for 6 hours, and does not stop.",
    fires: [sample("culvert_relay_draining", "1x420"), sample("culvert_relay_drain_remaining_seconds", "0x420")],
    quiet: [
      sample("culvert_relay_draining", "1x420"),
      sample("culvert_relay_drain_remaining_seconds", "36000-60x420"),
      sample("culvert_relay_draining", "0x420", "", "j"),
      sample("culvert_relay_drain_remaining_seconds", "0x420", "", "j"),
    ],
    at: "6h30m",
  },
];
