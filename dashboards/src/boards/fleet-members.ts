import type { Row } from "../board.ts";
import { rateBy, series } from "../query.ts";

/** Who relays for which ports, and who is about to stop. */
export const SLOTS_AND_DRAINS: Row = {
  title: "Slots and drains",
  panels: [
    {
      kind: "graph",
      title: "Slots by state",
      description:
        "Ranges of relayed ports that relays lease. Fenced ones relay nothing: the lease lapsed. Restoring should be over in seconds.",
      unit: "none",
      stacked: true,
      queries: [{ expr: `sum by (state) (${series("culvert_relay_slots")})`, legend: "{{state}}" }],
    },
    {
      kind: "graph",
      title: "What happens to slots",
      description:
        "Gained and released with starts and stops. Lapsed: a relay could not renew. Lost: another has it. Taken over: another relay's slots, after it was lost.",
      unit: "cps",
      queries: [
        { expr: rateBy(["event"], "culvert_relay_slots_total"), legend: "{{event}}" },
        { expr: rateBy([], "culvert_relay_slots_taken_over_total"), legend: "taken over" },
      ],
    },
    {
      kind: "graph",
      title: "Restores",
      description: "99th percentile of the time to bring a slot's allocations back, after a start or a takeover.",
      unit: "s",
      queries: [
        {
          expr: `histogram_quantile(0.99, sum by (le) (increase(${series("culvert_relay_slot_restore_duration_seconds_bucket")}[$__range])))`,
          legend: "p99 over the time shown",
        },
      ],
    },
    {
      kind: "graph",
      title: "Allocations carried on",
      description: "Allocations of an earlier process that go on, and those that do not, by reason.",
      unit: "cps",
      queries: [
        { expr: rateBy([], "culvert_relay_restored_total"), legend: "restored" },
        { expr: rateBy(["reason"], "culvert_relay_restore_failures_total"), legend: "not: {{reason}}" },
      ],
    },
    {
      kind: "graph",
      title: "Draining relays: time left",
      description: "Until a relay that stops cuts what still lives on it. 0: it does not stop, or is empty.",
      unit: "s",
      queries: [{ expr: series("culvert_relay_drain_remaining_seconds"), legend: "{{instance}}" }],
    },
    {
      kind: "graph",
      title: "Draining relays: allocations left",
      description: "They should be gone before the time is. What is left then is cut, handed over, or waits in Redis.",
      unit: "short",
      queries: [
        {
          expr: `${series("culvert_relay_allocations")} * ${series("culvert_relay_draining")}`,
          legend: "{{instance}}",
        },
      ],
    },
  ],
};

/** What relays forward to one another. */
export const MESH_ROW: Row = {
  title: "Mesh",
  panels: [
    {
      kind: "graph",
      title: "Mesh packets",
      description: "Datagrams between relays: packets that came to another relay than their owner, and heartbeats.",
      unit: "pps",
      queries: [{ expr: rateBy(["direction"], "culvert_relay_mesh_packets_total"), legend: "{{direction}}" }],
    },
    {
      kind: "graph",
      title: "Relays that each reaches",
      description: "Should be one less than there are relays, on each of them.",
      unit: "none",
      queries: [{ expr: series("culvert_relay_mesh_peers"), legend: "{{instance}}" }],
    },
    {
      kind: "graph",
      title: "Packets without an owner",
      description:
        "Dropped by the control path. limited: a source asks for too many unknown 5-tuples, as a scan does. no-peer: the owner is not there.",
      unit: "pps",
      queries: [{ expr: rateBy(["reason"], "culvert_relay_mesh_dropped_total"), legend: "{{reason}}" }],
    },
    {
      kind: "graph",
      title: "Refused datagrams",
      description:
        "What is not sealed with the fleet's secrets (mesh-auth), was taken before (mesh-replay), is of no relay (mesh-unknown), or says what it may not (mesh-refused).",
      unit: "pps",
      queries: [
        {
          expr: rateBy(["reason"], "culvert_relay_data_plane_dropped_total", 'reason=~"mesh-.+"'),
          legend: "{{reason}}",
        },
      ],
    },
    {
      kind: "graph",
      title: "Look-ups and forwards",
      description:
        "Questions to Redis whose a 5-tuple is, and what the control path forwarded. The rest goes by the fast path.",
      unit: "ops",
      queries: [
        { expr: rateBy(["outcome"], "culvert_relay_mesh_lookups_total"), legend: "look-ups {{outcome}}" },
        { expr: rateBy([], "culvert_relay_mesh_forwarded_total"), legend: "forwarded" },
      ],
    },
    {
      kind: "graph",
      title: "Clients of other relays",
      description:
        "Clients that came to another relay than their owner's, now. Many: the load balancer has no affinity.",
      unit: "short",
      queries: [{ expr: series("culvert_relay_mesh_foreign_clients"), legend: "{{instance}}" }],
    },
  ],
};
