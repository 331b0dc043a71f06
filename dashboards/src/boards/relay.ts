import type { Board } from "../board.ts";
import { quantile, quantiles, rate, rateBy, series } from "../query.ts";

const ANSWERED = 'result!="challenge"';

/** One relay or some: rate, errors and durations of requests; utilisation, saturation and errors of what it uses. */
export const RELAY: Board = {
  name: "relay",
  title: "Culvert / Relay",
  description:
    "Requests (rate, errors, durations), the data plane, and what a relay uses (CPU, memory, descriptors, ports).",
  instancesOf: { metric: "culvert_relay_allocations" },
  rows: [
    {
      title: "Requests",
      panels: [
        {
          kind: "graph",
          title: "Requests by method",
          description: "Answered requests. Binding requests that the data plane answers itself are apart.",
          unit: "reqps",
          stacked: true,
          queries: [
            { expr: rateBy(["method"], "culvert_relay_requests_total"), legend: "{{method}}" },
            { expr: rateBy([], "culvert_relay_data_plane_bindings_total"), legend: "Binding (data plane)" },
          ],
        },
        {
          kind: "graph",
          title: "Requests by result",
          description:
            "challenge: the 401 or 438 that each client meets once. redirect: 300, to another relay. refused: 4xx. failed: 5xx.",
          unit: "reqps",
          stacked: true,
          queries: [{ expr: rateBy(["result"], "culvert_relay_requests_total"), legend: "{{result}}" }],
        },
        {
          kind: "graph",
          title: "Requests that were no success",
          description: "Share of the answers that were refused, redirected or failed, challenges left out.",
          unit: "percentunit",
          max: 1,
          queries: [
            {
              expr: `${rateBy(["result"], "culvert_relay_requests_total", 'result=~"refused|failed|redirect"')} / on () group_left () ${rateBy([], "culvert_relay_requests_total", ANSWERED)}`,
              legend: "{{result}}",
            },
          ],
        },
        {
          kind: "graph",
          title: "Allocate answered in",
          description:
            "From arrival at the control path to the answer: authentication, relay socket and, in a fleet, the admission by Redis.",
          unit: "s",
          queries: quantiles("culvert_relay_request_duration_seconds", 'method="Allocate"'),
        },
        {
          kind: "graph",
          title: "Other requests answered in",
          description: "99th percentile by method. They wait for nobody: more than milliseconds is a busy event loop.",
          unit: "s",
          queries: [
            {
              expr: quantile(0.99, ["method"], "culvert_relay_request_duration_seconds", 'method!="Allocate"'),
              legend: "{{method}}",
            },
          ],
        },
        {
          kind: "graph",
          title: "Requests that wait",
          description:
            "Allocates that wait for a relay socket or for the fleet's admission. Grows when Redis is slow; 1,024 are the most.",
          unit: "short",
          queries: [{ expr: series("culvert_relay_requests_waiting"), legend: "{{instance}}" }],
        },
      ],
    },
    {
      title: "Allocations",
      panels: [
        {
          kind: "graph",
          title: "Allocations and room for them",
          description: "Now, and the most that ports, quota and file descriptors leave room for.",
          unit: "short",
          queries: [
            { expr: `sum(${series("culvert_relay_allocations")})`, legend: "allocations" },
            { expr: `sum(${series("culvert_relay_allocations_capacity")})`, legend: "capacity" },
          ],
        },
        {
          kind: "graph",
          title: "Created, by transport",
          description: "Transport between client and relay.",
          unit: "cps",
          stacked: true,
          queries: [
            { expr: rateBy(["transport"], "culvert_relay_allocations_created_total"), legend: "{{transport}}" },
          ],
        },
        {
          kind: "graph",
          title: "Ended, by reason",
          description:
            "refresh: the client gave it back. expired: it did not refresh. client-closed: its stream ended. fenced, handed-over: another relay may go on with it.",
          unit: "cps",
          stacked: true,
          queries: [{ expr: rateBy(["reason"], "culvert_relay_allocations_deleted_total"), legend: "{{reason}}" }],
        },
        {
          kind: "graph",
          title: "Permissions and channels",
          description: "Created in a second, and permissions that a change of the peer policy cut.",
          unit: "cps",
          queries: [
            { expr: rateBy([], "culvert_relay_permissions_created_total"), legend: "permissions" },
            { expr: rateBy([], "culvert_relay_channels_created_total"), legend: "channels" },
          ],
        },
        {
          kind: "graph",
          title: "Ports",
          description: "Relayed ports that are taken, of those that there are. In a fleet: of the slots held.",
          unit: "short",
          queries: [
            { expr: `sum(${series("culvert_relay_ports_used")})`, legend: "used" },
            { expr: `sum(${series("culvert_relay_ports_capacity")})`, legend: "capacity" },
          ],
        },
        {
          kind: "graph",
          title: "Sockets and streams",
          description: "Open relay sockets, and open TCP and TLS clients.",
          unit: "short",
          queries: [
            { expr: `sum(${series("culvert_relay_relay_sockets")})`, legend: "relay sockets" },
            { expr: `sum(${series("culvert_relay_streams")})`, legend: "TCP and TLS clients" },
          ],
        },
      ],
    },
    {
      title: "Data plane",
      panels: [
        {
          kind: "graph",
          title: "Packets relayed",
          description: "By direction. Calls carry about as many each way; one way only is a call that does not work.",
          unit: "pps",
          queries: [{ expr: rateBy(["direction"], "culvert_relay_relayed_packets_total"), legend: "{{direction}}" }],
        },
        {
          kind: "graph",
          title: "Bandwidth",
          description: "Application data relayed, by direction, without framing.",
          unit: "bps",
          queries: [
            { expr: `8 * ${rateBy(["direction"], "culvert_relay_relayed_bytes_total")}`, legend: "{{direction}}" },
          ],
        },
        {
          kind: "graph",
          title: "Bytes a packet",
          description: "Mean size of application data, by direction. Audio is 100 to 200, video up to 1,200.",
          unit: "bytes",
          queries: [
            {
              expr: `${rateBy(["direction"], "culvert_relay_relayed_bytes_total")} / ${rateBy(["direction"], "culvert_relay_relayed_packets_total")}`,
              legend: "{{direction}}",
            },
          ],
        },
        {
          kind: "graph",
          title: "Dropped by the data plane",
          description: "By reason. What each means, and what to do: dashboard Why did it fail.",
          unit: "pps",
          stacked: true,
          queries: [{ expr: rateBy(["reason"], "culvert_relay_data_plane_dropped_total"), legend: "{{reason}}" }],
        },
        {
          kind: "graph",
          title: "Dropped by the kernel",
          description:
            "Datagrams that found a full socket buffer, in the relay's network namespace: with host networking, those of all processes of the node.",
          unit: "pps",
          queries: [
            {
              expr: rateBy(["instance", "kind"], "culvert_relay_kernel_udp_errors_total"),
              legend: "{{instance}} {{kind}}",
            },
          ],
        },
        {
          kind: "graph",
          title: "Handed up to the control path",
          description:
            "Messages that the table could not answer: requests, and data of unknown clients. A flood shows here first.",
          unit: "pps",
          queries: [{ expr: rateBy(["instance"], "culvert_relay_slow_path_total"), legend: "{{instance}}" }],
        },
      ],
    },
    {
      title: "Utilisation and saturation",
      panels: [
        {
          kind: "graph",
          title: "CPU",
          description: "Cores in use, all threads: the data plane's workers and the control path.",
          unit: "none",
          queries: [{ expr: rate("process_cpu_seconds_total"), legend: "{{instance}}" }],
        },
        {
          kind: "graph",
          title: "Control path busy",
          description: "Share of the time that the control path works on events. Near 1 requests wait for one another.",
          unit: "percentunit",
          max: 1,
          queries: [
            { expr: rate("culvert_relay_control_busy_seconds_total"), legend: "{{instance}} control path" },
            { expr: series("nodejs_eventloop_utilization_ratio"), legend: "{{instance}} event loop" },
          ],
        },
        {
          kind: "graph",
          title: "Event loop late by",
          description:
            "99th percentile since the last scrape. Answers are late by as much; relaying is not, in the native data plane.",
          unit: "s",
          queries: [{ expr: series("nodejs_eventloop_delay_seconds", 'stat="p99"'), legend: "{{instance}}" }],
        },
        {
          kind: "graph",
          title: "Events a batch",
          description:
            "How many messages wait for the control path when it comes round: 1 to 2 when calm, hundreds in a flood.",
          unit: "none",
          queries: [
            {
              expr: `${rateBy(["instance"], "culvert_relay_control_events_total")} / ${rateBy(["instance"], "culvert_relay_control_batches_total")}`,
              legend: "{{instance}}",
            },
          ],
        },
        {
          kind: "graph",
          title: "Memory",
          description: "Resident memory, JavaScript heap in it, and the limit of the control group where there is one.",
          unit: "bytes",
          queries: [
            { expr: series("process_resident_memory_bytes"), legend: "{{instance}} resident" },
            { expr: series("process_heap_bytes"), legend: "{{instance}} heap" },
            { expr: series("process_memory_limit_bytes"), legend: "{{instance}} limit" },
          ],
        },
        {
          kind: "graph",
          title: "File descriptors in use",
          description: "Share of what the process may open. Each allocation takes one for each relayed address.",
          unit: "percentunit",
          max: 1,
          queries: [{ expr: `${series("process_open_fds")} / ${series("process_max_fds")}`, legend: "{{instance}}" }],
        },
      ],
    },
    {
      title: "In the fleet",
      panels: [
        {
          kind: "graph",
          title: "Slots held",
          description: "Slots that this relay may relay for. None: it serves nobody.",
          unit: "none",
          queries: [{ expr: series("culvert_relay_slots_held"), legend: "{{instance}}" }],
        },
        {
          kind: "graph",
          title: "A lease renewal takes",
          description: "Mean. It should be far below the lease (3 s); a relay that cannot renew fences itself.",
          unit: "s",
          queries: [
            {
              expr: `${rateBy(["instance"], "culvert_relay_lease_renewal_seconds_total")} / ${rateBy(["instance"], "culvert_relay_lease_renewals_total")}`,
              legend: "{{instance}}",
            },
          ],
        },
        {
          kind: "graph",
          title: "Writes that wait",
          description: "Changes of allocations that are not in Redis yet.",
          unit: "short",
          queries: [{ expr: series("culvert_relay_write_behind_queue"), legend: "{{instance}}" }],
        },
        {
          kind: "graph",
          title: "Redis answers in",
          description: "99th percentile, by relay. One that differs from the others has a way of its own to Redis.",
          unit: "s",
          queries: [
            {
              expr: quantile(0.99, ["instance"], "culvert_relay_redis_request_duration_seconds"),
              legend: "{{instance}}",
            },
          ],
        },
        {
          kind: "graph",
          title: "Sent to other relays",
          description: "Clients that were told another relay's address (300), since this one drains or is full.",
          unit: "cps",
          queries: [{ expr: rate("culvert_relay_alternates_told_total"), legend: "{{instance}}" }],
        },
        {
          kind: "graph",
          title: "Draining",
          description: "1 while the relay takes no new allocations. It stays ready: live calls need the way to it.",
          unit: "none",
          max: 1,
          queries: [{ expr: series("culvert_relay_draining"), legend: "{{instance}}" }],
        },
      ],
    },
  ],
};
