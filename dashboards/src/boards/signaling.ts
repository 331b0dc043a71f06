import type { Board } from "../board.ts";
import { quantile, quantiles, rate, rateBy, series } from "../query.ts";
import { PROCESS_PANELS } from "./process.ts";

/** Sessions, messages and resumes, and what becomes of connection attempts. */
export const SIGNALING: Board = {
  name: "signaling",
  title: "Culvert / Signaling",
  description: "Sessions, messages, resumes, refusals, replicas, and the connection attempts that peers report.",
  instancesOf: { metric: "culvert_signaling_sessions" },
  rows: [
    {
      title: "At a glance",
      panels: [
        {
          kind: "stat",
          title: "Sessions",
          description: "Sessions on all replicas, those that wait to be resumed included.",
          unit: "short",
          queries: [{ expr: `sum(${series("culvert_signaling_sessions")})`, legend: "sessions" }],
        },
        {
          kind: "stat",
          title: "Connections",
          description: "Open WebSocket connections. Fewer than sessions: clients are away and may resume.",
          unit: "short",
          queries: [{ expr: `sum(${series("culvert_signaling_connections")})`, legend: "connections" }],
        },
        {
          kind: "stat",
          title: "Messages",
          description: "In and out, in a second.",
          unit: "ops",
          queries: [{ expr: rateBy([], "culvert_signaling_messages_total"), legend: "messages" }],
        },
        {
          kind: "stat",
          title: "Replicas",
          description: "Replicas that are scraped.",
          unit: "none",
          queries: [{ expr: `count(${series("culvert_signaling_sessions")})`, legend: "replicas" }],
        },
        {
          kind: "stat",
          title: "Resumed without a gap",
          description: "Share of resumed sessions that missed nothing.",
          unit: "percentunit",
          max: 1,
          queries: [
            {
              expr: `sum(increase(${series("culvert_signaling_resumes_total", 'outcome="replayed"')}[$__range])) / sum(increase(${series("culvert_signaling_resumes_total")}[$__range]))`,
              legend: "replayed",
            },
          ],
          steps: [
            [null, "red"],
            [0.9, "orange"],
            [0.99, "green"],
          ],
        },
        {
          kind: "stat",
          title: "Attempts that connected",
          description: "Share of the steps of connection attempts that peers reported as good.",
          unit: "percentunit",
          max: 1,
          queries: [
            {
              expr: `sum(increase(${series("culvert_signaling_attempts_total", 'outcome="ok"')}[$__range])) / sum(increase(${series("culvert_signaling_attempts_total")}[$__range]))`,
              legend: "connected",
            },
          ],
        },
        {
          kind: "stat",
          title: "Bus",
          description: "Share of replicas whose event bus reaches others.",
          unit: "percentunit",
          max: 1,
          queries: [{ expr: `avg(${series("culvert_signaling_bus_up")})`, legend: "up" }],
          steps: [
            [null, "red"],
            [1, "green"],
          ],
        },
        {
          kind: "stat",
          title: "Keys",
          description: "Signing keys known, on the replica that knows the fewest. Without one no token is verified.",
          unit: "none",
          queries: [{ expr: `min(${series("culvert_signaling_keys")})`, legend: "keys" }],
          steps: [
            [null, "red"],
            [1, "green"],
          ],
        },
      ],
    },
    {
      title: "Sessions and messages",
      panels: [
        {
          kind: "graph",
          title: "Sessions by replica",
          description: "A replica that ends leaves its sessions to be resumed on the others.",
          unit: "short",
          stacked: true,
          queries: [{ expr: series("culvert_signaling_sessions"), legend: "{{instance}}" }],
        },
        {
          kind: "graph",
          title: "Messages in, by type",
          description: "invalid: could not be read.",
          unit: "ops",
          stacked: true,
          queries: [
            { expr: rateBy(["type"], "culvert_signaling_messages_total", 'direction="in"'), legend: "{{type}}" },
          ],
        },
        {
          kind: "graph",
          title: "Messages out, by type",
          description: "What was sent to clients, by type.",
          unit: "ops",
          stacked: true,
          queries: [
            { expr: rateBy(["type"], "culvert_signaling_messages_total", 'direction="out"'), legend: "{{type}}" },
          ],
        },
        {
          kind: "graph",
          title: "What happens to sessions",
          description: "opened, resumed, suspended (the connection is gone), ended, with the reason.",
          unit: "cps",
          queries: [
            {
              expr: rateBy(["change", "reason"], "culvert_signaling_session_changes_total"),
              legend: "{{change}} {{reason}}",
            },
          ],
        },
        {
          kind: "graph",
          title: "Resumes by outcome",
          description:
            "replayed: nothing was missed. gap: some was. The others were refused, and the client began anew.",
          unit: "cps",
          queries: [{ expr: rateBy(["outcome"], "culvert_signaling_resumes_total"), legend: "{{outcome}}" }],
        },
        {
          kind: "graph",
          title: "Refused, by reason",
          description: "Connections and messages. What to do about each: dashboard Why did it fail.",
          unit: "cps",
          queries: [{ expr: rateBy(["reason"], "culvert_signaling_refused_total"), legend: "{{reason}}" }],
        },
        {
          kind: "graph",
          title: "Clients that did not acknowledge",
          description: "Sessions that ended because too much waited for their client.",
          unit: "cps",
          queries: [{ expr: rate("culvert_signaling_outbox_overflows_total"), legend: "{{instance}}" }],
        },
        {
          kind: "graph",
          title: "Connection attempts",
          description: "Steps that peers reported, by outcome.",
          unit: "ops",
          queries: [{ expr: rateBy(["outcome"], "culvert_signaling_attempts_total"), legend: "{{outcome}}" }],
        },
        {
          kind: "graph",
          title: "A connection attempt takes",
          description: "The steps that peers reported.",
          unit: "s",
          queries: quantiles("culvert_signaling_attempt_seconds"),
        },
      ],
    },
    {
      title: "Replicas and what they use",
      panels: [
        {
          kind: "graph",
          title: "Other replicas that each sees",
          description: "Should be one less than there are replicas, on each of them.",
          unit: "none",
          queries: [{ expr: series("culvert_signaling_replicas"), legend: "{{instance}}" }],
        },
        {
          kind: "graph",
          title: "NATS answers in",
          description: "Round trip of a ping, every five seconds.",
          unit: "s",
          queries: [
            {
              expr: quantile(0.99, ["instance"], "culvert_signaling_nats_round_trip_seconds"),
              legend: "{{instance}} p99",
            },
          ],
        },
        {
          kind: "graph",
          title: "NATS errors and reconnects",
          description: "By replica. Messages between replicas are repeated once it is back.",
          unit: "cps",
          queries: [
            {
              expr: rateBy(["instance", "reason"], "culvert_signaling_nats_errors_total"),
              legend: "{{instance}} {{reason}}",
            },
            {
              expr: rateBy(["instance"], "culvert_signaling_nats_reconnects_total"),
              legend: "{{instance}} reconnects",
            },
          ],
        },
        ...PROCESS_PANELS,
      ],
    },
  ],
};
