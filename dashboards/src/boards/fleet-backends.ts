import type { Row } from "../board.ts";
import { quantile, rateBy, series } from "../query.ts";

/** Redis and NATS, by what relays have of them. */
export const BACKENDS_ROW: Row = {
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
      description: "Share of renewals without an answer. A relay that cannot renew for a lease's time fences itself.",
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
};

/** What relays verify credentials with, and present to clients of TLS. */
export const KEYS_ROW: Row = {
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
};
