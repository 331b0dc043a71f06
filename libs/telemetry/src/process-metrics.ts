import { readdir, readFile } from "node:fs/promises";
import { totalmem } from "node:os";
import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import type { Meter } from "@opentelemetry/api";

const NANOSECONDS = 1e9;
const MICROSECONDS = 1e6;

/** Observes this process under the names that Prometheus dashboards expect. The returned function stops observing. */
export function observeProcess(meter: Meter): () => void {
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();

  meter
    .createObservableCounter("process_cpu_seconds_total", { description: "User and system CPU time spent in seconds" })
    .addCallback((result) => {
      const { user, system } = process.cpuUsage();
      result.observe((user + system) / MICROSECONDS);
    });
  meter
    .createObservableGauge("process_resident_memory_bytes", { description: "Resident memory size in bytes" })
    .addCallback((result) => result.observe(process.memoryUsage.rss()));
  meter
    .createObservableGauge("process_heap_bytes", { description: "JavaScript heap in use in bytes" })
    .addCallback((result) => result.observe(process.memoryUsage().heapUsed));
  meter
    .createObservableGauge("process_start_time_seconds", { description: "Start time in seconds since the Unix epoch" })
    .addCallback((result) => result.observe(performance.timeOrigin / 1000));
  meter
    .createObservableGauge("process_open_fds", { description: "Open file descriptors" })
    .addCallback(async (result) => {
      const count = await openDescriptors();
      if (count !== undefined) result.observe(count);
    });
  meter
    .createObservableGauge("process_max_fds", { description: "File descriptors that the process may open" })
    .addCallback(async (result) => {
      const limit = await descriptorLimit();
      if (limit !== undefined) result.observe(limit);
    });
  meter
    .createObservableGauge("process_memory_limit_bytes", { description: "Memory that the control group may use" })
    .addCallback((result) => {
      const limit = memoryLimit();
      if (limit !== undefined) result.observe(limit);
    });
  let utilization = performance.eventLoopUtilization();
  meter
    .createObservableGauge("nodejs_eventloop_utilization_ratio", {
      description: "Share of the time since the last collection in which the event loop was busy",
    })
    .addCallback((result) => {
      const now = performance.eventLoopUtilization();
      result.observe(performance.eventLoopUtilization(now, utilization).utilization);
      utilization = now;
    });
  meter
    .createObservableGauge("nodejs_eventloop_delay_seconds", {
      description: "Delay of the event loop since the last collection in seconds",
    })
    .addCallback((result) => {
      if (delay.count > 0) {
        result.observe(delay.percentile(50) / NANOSECONDS, { stat: "p50" });
        result.observe(delay.percentile(99) / NANOSECONDS, { stat: "p99" });
        result.observe(delay.max / NANOSECONDS, { stat: "max" });
      }
      delay.reset();
    });
  return () => delay.disable();
}

/** The soft limit. Undefined where the system has no `/proc`, or no limit. */
async function descriptorLimit(): Promise<number | undefined> {
  const limits = await readFile("/proc/self/limits", "utf8").catch(() => "");
  const [, soft] = /^Max open files\s+(\d+)/m.exec(limits) ?? [];
  return soft === undefined ? undefined : Number(soft);
}

/** Undefined where there is none: the number that stands for that is greater than any memory. */
function memoryLimit(): number | undefined {
  const limit = process.constrainedMemory();
  return limit > 0 && limit < totalmem() ? limit : undefined;
}

/** Undefined where the system has no `/proc`. */
async function openDescriptors(): Promise<number | undefined> {
  try {
    return (await readdir("/proc/self/fd")).length;
  } catch {
    return undefined;
  }
}
