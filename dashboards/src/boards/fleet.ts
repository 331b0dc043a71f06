import type { Board } from "../board.ts";
import { quantile, rateBy, series } from "../query.ts";

const utilisation = `sum(${series("culvert_relay_allocations")}) / sum(${series("culvert_relay_allocations_capacity")})`;

/** All relays and what they share, at one glance. */
export const FLEET: Board = {
  name: "fleet",
  title: "Culvert / Fleet overview",
  description: "All relays and what they share: load and room, slots, mesh, drains, Redis, NATS, keys.",
  instancesOf: { metric: "culvert_relay_allocations" },
  rows: [
    {
      title: "At a glance",
      panels: [
        {
          kind: "stat",
          title: "Relays",
          description: "Relays that are scraped and take new allocations, those that drain left out.",
          unit: "none",
          queries: [{ expr: `count(${series("culvert_relay_draining")} == 0) or vector(0)`, legend: "relays" }],
          steps: [
            [null, "red"],
            [1, "green"],
          ],
        },
        {
          kind: "stat",
          title: "Draining",
          description: "Relays that refuse new allocations, told to by an operator or because they stop.",
          unit: "none",
          queries: [{ expr: `sum(${series("culvert_relay_draining")})`, legend: "relays" }],
          steps: [
            [null, "green"],
            [1, "blue"],
          ],
        },
        {
          kind: "stat",
          title: "Allocations",
          description: "Allocations that live now, on all relays.",
          unit: "short",
          queries: [{ expr: `sum(${series("culvert_relay_allocations")})`, legend: "allocations" }],
        },
        {
          kind: "stat",
          title: "Room in use",
          description:
            "Allocations over what there is room for: ports, quota, file descriptors. Scale out above 70 %; above 80 % an alert fires.",
          unit: "percentunit",
          queries: [{ expr: utilisation, legend: "in use" }],
          max: 1,
          steps: [
            [null, "green"],
            [0.7, "orange"],
            [0.9, "red"],
          ],
        },
        {
          kind: "stat",
          title: "Packets",
          description: "Packets relayed in a second, both ways.",
          unit: "pps",
          queries: [{ expr: rateBy([], "culvert_relay_relayed_packets_total"), legend: "packets" }],
        },
        {
          kind: "stat",
          title: "Bandwidth",
          description: "Application data relayed, both ways, without framing.",
          unit: "bps",
          queries: [{ expr: `8 * ${rateBy([], "culvert_relay_relayed_bytes_total")}`, legend: "bits" }],
        },
        {
          kind: "stat",
          title: "Failed requests",
          description:
            "Share of requests answered with 5xx, among all but challenges (the 401 and 438 that each client meets once).",
          unit: "percentunit",
          queries: [
            {
              expr: `sum(rate(${series("culvert_relay_requests_total", 'result="failed"')}[$__rate_interval])) / sum(rate(${series("culvert_relay_requests_total", 'result!="challenge"')}[$__rate_interval]))`,
              legend: "failed",
            },
          ],
          steps: [
            [null, "green"],
            [0.01, "orange"],
            [0.05, "red"],
          ],
        },
        {
          kind: "stat",
          title: "Alerts firing",
          description: "Alerts of this platform that fire now, whatever is selected above.",
          unit: "none",
          queries: [
            {
              expr: 'count(ALERTS{alertstate="firing",alertname=~"Culvert.+",severity!="info"}) or vector(0)',
              legend: "alerts",
            },
          ],
          steps: [
            [null, "green"],
            [1, "red"],
          ],
        },
      ],
    },
    {
      title: "Load",
      panels: [
        {
          kind: "graph",
          title: "Allocations by relay",
          description: "A relay that is far below the others takes no new clients: it drains, or nobody reaches it.",
          unit: "short",
          stacked: true,
          queries: [{ expr: `sum by (instance) (${series("culvert_relay_allocations")})`, legend: "{{instance}}" }],
        },
        {
          kind: "graph",
          title: "Room in use by relay",
          description:
            "Allocations over capacity. Autoscaling keeps it near its target; a full relay sends clients to others (300) or away (508).",
          unit: "percentunit",
          max: 1,
          queries: [
            {
              expr: `${series("culvert_relay_allocations")} / ${series("culvert_relay_allocations_capacity")}`,
              legend: "{{instance}}",
            },
          ],
        },
        {
          kind: "graph",
          title: "Bandwidth by relay",
          description: "Application data relayed, both ways. Compare with the network of the node.",
          unit: "bps",
          stacked: true,
          queries: [
            { expr: `8 * ${rateBy(["instance"], "culvert_relay_relayed_bytes_total")}`, legend: "{{instance}}" },
          ],
        },
        {
          kind: "graph",
          title: "CPU by relay",
          description: "Cores in use: system and user time of the process, all threads. Compare with its limit.",
          unit: "none",
          queries: [{ expr: rateBy(["instance"], "process_cpu_seconds_total"), legend: "{{instance}}" }],
        },
        {
          kind: "graph",
          title: "Allocate answered in",
          description:
            "99th percentile by relay, from arrival at the control path to the answer. Above 1 s clients send again.",
          unit: "s",
          queries: [
            {
              expr: quantile(0.99, ["instance"], "culvert_relay_request_duration_seconds", 'method="Allocate"'),
              legend: "{{instance}}",
            },
          ],
        },
        {
          kind: "graph",
          title: "Answers that were no success",
          description: "By error code, without challenges. What each means: dashboard Why did it fail.",
          unit: "reqps",
          stacked: true,
          queries: [
            {
              expr: rateBy(["code"], "culvert_relay_requests_total", 'result!~"success|challenge"'),
              legend: "{{code}}",
            },
          ],
        },
      ],
    },
    {
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
          description:
            "They should be gone before the time is. What is left then is cut, handed over, or waits in Redis.",
          unit: "short",
          queries: [
            {
              expr: `${series("culvert_relay_allocations")} * ${series("culvert_relay_draining")}`,
              legend: "{{instance}}",
            },
          ],
        },
      ],
    },
    {
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
    },
    {
      title: "Redis and NATS, as the relays see them",
      panels: [
        {
          kind: "graph",
          title: "Redis and NATS answer",
          description:
            "Share of relays that reach each. Live calls go on without; new allocations follow fleet.onStateLoss.",
          unit: "percentunit",
          max: 1,
          queries: [
            { expr: `avg(${series("culvert_relay_redis_up")})`, legend: "Redis" },
            { expr: `avg(${series("culvert_relay_nats_up")})`, legend: "NATS" },
          ],
        },
        {
          kind: "graph",
          title: "Redis answers in",
          description: "From a command, script or pipeline to the answer. An Allocate waits for one of these.",
          unit: "s",
          queries: [0.5, 0.99].map((q) => ({
            expr: quantile(q, [], "culvert_relay_redis_request_duration_seconds"),
            legend: `p${q * 100}`,
          })),
        },
        {
          kind: "graph",
          title: "NATS answers in",
          description: "Round trip of a ping, every five seconds.",
          unit: "s",
          queries: [0.5, 0.99].map((q) => ({
            expr: quantile(q, [], "culvert_relay_nats_round_trip_seconds"),
            legend: `p${q * 100}`,
          })),
        },
        {
          kind: "graph",
          title: "Errors and reconnects",
          description: "down: refused without being sent, since the backend is away. timeout: no answer in time.",
          unit: "cps",
          queries: [
            { expr: rateBy(["reason"], "culvert_relay_redis_errors_total"), legend: "Redis {{reason}}" },
            { expr: rateBy(["reason"], "culvert_relay_nats_errors_total"), legend: "NATS {{reason}}" },
            { expr: rateBy([], "culvert_relay_redis_reconnects_total"), legend: "Redis reconnects" },
            { expr: rateBy([], "culvert_relay_nats_reconnects_total"), legend: "NATS reconnects" },
          ],
        },
        {
          kind: "graph",
          title: "Writes that wait",
          description:
            "Changes of allocations not in Redis yet, and usage events not in NATS yet. Both drain when it is back.",
          unit: "short",
          queries: [
            { expr: `sum(${series("culvert_relay_write_behind_queue")})`, legend: "changes of allocations" },
            { expr: `sum(${series("culvert_relay_usage_events_waiting")})`, legend: "usage events" },
          ],
        },
        {
          kind: "graph",
          title: "Writes by result",
          description:
            "stale: another relay has the slot by now; its record stands. unleased: written again after the next renewal.",
          unit: "ops",
          queries: [{ expr: rateBy(["result"], "culvert_relay_write_behind_writes_total"), legend: "{{result}}" }],
        },
        {
          kind: "graph",
          title: "Lease renewals that failed",
          description:
            "Share of renewals without an answer. A relay that cannot renew for a lease's time fences itself.",
          unit: "percentunit",
          queries: [
            {
              expr: `${rateBy(["instance"], "culvert_relay_lease_renewals_total", 'outcome="failed"')} / ${rateBy(["instance"], "culvert_relay_lease_renewals_total")}`,
              legend: "{{instance}}",
            },
          ],
        },
        {
          kind: "graph",
          title: "Admissions",
          description:
            "What the fleet said of new allocations: granted, refused (quota), elsewhere (the 5-tuple has one on another relay).",
          unit: "ops",
          queries: [{ expr: rateBy(["outcome"], "culvert_relay_admissions_total"), legend: "{{outcome}}" }],
        },
        {
          kind: "graph",
          title: "Clocks against the fleet's",
          description:
            "What each relay's clock is off the time that the fleet shares (Redis TIME). Corrected for, but worth a look above a second.",
          unit: "s",
          queries: [{ expr: `abs(${series("culvert_relay_fleet_time_offset_seconds")})`, legend: "{{instance}}" }],
        },
      ],
    },
    {
      title: "Keys and certificates",
      panels: [
        {
          kind: "graph",
          title: "Signing keys known",
          description: "By relay. All should know as many. None: nobody with an issued credential is let in.",
          unit: "none",
          queries: [{ expr: series("culvert_relay_signing_keys"), legend: "{{instance}}" }],
        },
        {
          kind: "graph",
          title: "Key feed",
          description: "1 while the keys are known to be current. At 0 the keys that were told last stay in force.",
          unit: "none",
          max: 1,
          queries: [{ expr: series("culvert_relay_key_watch_connected"), legend: "{{instance}}" }],
        },
        {
          kind: "stat",
          width: 4,
          title: "First certificate to end",
          description: "Time until the certificate of a TLS listener ends. A new one is taken without a restart.",
          unit: "s",
          queries: [{ expr: `min(${series("culvert_relay_certificate_not_after_seconds")}) - time()`, legend: "left" }],
          steps: [
            [null, "red"],
            [259_200, "orange"],
            [1_209_600, "green"],
          ],
        },
        {
          kind: "stat",
          width: 4,
          title: "Ranges dangerously allowed",
          description: "Ranges that peers.dangerouslyAllow opens: loopback, metadata and the like. 0 outside of tests.",
          unit: "none",
          queries: [{ expr: `max(${series("culvert_relay_peers_dangerously_allowed")})`, legend: "ranges" }],
          steps: [
            [null, "green"],
            [1, "red"],
          ],
        },
      ],
    },
  ],
};
