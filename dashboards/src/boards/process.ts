import type { Graph } from "../panel.ts";
import { rate, series } from "../query.ts";

/** What a process uses, whatever it does. */
export const PROCESS_PANELS: readonly Graph[] = [
  {
    kind: "graph",
    title: "CPU",
    description: "Cores in use: system and user time of the process, all threads.",
    unit: "none",
    queries: [{ expr: rate("process_cpu_seconds_total"), legend: "{{instance}}" }],
  },
  {
    kind: "graph",
    title: "Event loop late by",
    description: "99th percentile since the last scrape. What the service answers is late by as much.",
    unit: "s",
    queries: [{ expr: series("nodejs_eventloop_delay_seconds", 'stat="p99"'), legend: "{{instance}}" }],
  },
  {
    kind: "graph",
    title: "Memory",
    description: "Resident memory. A slope that does not end is a leak.",
    unit: "bytes",
    queries: [{ expr: series("process_resident_memory_bytes"), legend: "{{instance}}" }],
  },
];
