import { readdir } from "node:fs/promises";
import { monitorEventLoopDelay } from "node:perf_hooks";
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

/** Undefined where the system has no `/proc`. */
async function openDescriptors(): Promise<number | undefined> {
  try {
    return (await readdir("/proc/self/fd")).length;
  } catch {
    return undefined;
  }
}
