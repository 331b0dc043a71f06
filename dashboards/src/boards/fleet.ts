import type { Board } from "../board.ts";
import { quantile, rateBy, series } from "../query.ts";
import { BACKENDS_ROW, KEYS_ROW } from "./fleet-backends.ts";
import { MESH_ROW, SLOTS_AND_DRAINS } from "./fleet-members.ts";

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
    SLOTS_AND_DRAINS,
    MESH_ROW,
    BACKENDS_ROW,
    KEYS_ROW,
  ],
};
