import { createMetrics, createNatsMetrics, createRedisMetrics } from "@culvert/telemetry";
import { expect, it } from "vitest";

it("shows a backend that was never reached as down, with failures from 0", async () => {
  const metrics = createMetrics({ service: "test", process: false });
  createRedisMetrics(metrics.meter, "culvert_test");
  createNatsMetrics(metrics.meter, "culvert_test");
  const text = await metrics.collect();
  for (const line of [
    "culvert_test_redis_up 0",
    "culvert_test_redis_reconnects_total 0",
    ...["down", "overload", "timeout", "error"].map(
      (reason) => `culvert_test_redis_errors_total{reason="${reason}"} 0`,
    ),
    "culvert_test_nats_up 0",
    "culvert_test_nats_reconnects_total 0",
    ...["timeout", "error"].map((reason) => `culvert_test_nats_errors_total{reason="${reason}"} 0`),
  ]) {
    expect(text).toContain(`${line}\n`);
  }
  await metrics.shutdown();
});

it("counts what is exchanged, what fails, and how often it came back", async () => {
  const metrics = createMetrics({ service: "test", process: false });
  const redis = createRedisMetrics(metrics.meter, "culvert_test");
  redis.connected();
  redis.exchanged(0.002);
  redis.exchanged(0.3);
  redis.failed("timeout");
  redis.lost();
  redis.lost();
  expect(await metrics.collect()).toContain("culvert_test_redis_up 0\n");
  redis.connected();
  redis.connected();
  const text = await metrics.collect();
  for (const line of [
    "culvert_test_redis_up 1",
    "culvert_test_redis_reconnects_total 1",
    'culvert_test_redis_errors_total{reason="timeout"} 1',
    'culvert_test_redis_request_duration_seconds_bucket{le="0.0025"} 1',
    'culvert_test_redis_request_duration_seconds_bucket{le="0.5"} 2',
    "culvert_test_redis_request_duration_seconds_count 2",
  ]) {
    expect(text).toContain(`${line}\n`);
  }
  await metrics.shutdown();
});

it("shows the limits of the process, and how busy its event loop is", async () => {
  const metrics = createMetrics({ service: "test" });
  const text = await metrics.collect();
  const value = (name: string): number => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
  expect(value("process_max_fds")).toBeGreaterThanOrEqual(value("process_open_fds"));
  expect(value("nodejs_eventloop_utilization_ratio")).toBeGreaterThanOrEqual(0);
  expect(value("nodejs_eventloop_utilization_ratio")).toBeLessThanOrEqual(1);
  await metrics.shutdown();
});
