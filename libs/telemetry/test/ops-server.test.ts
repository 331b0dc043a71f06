import { once } from "node:events";
import { connect } from "node:net";
import { createLogger, createMetrics, createOpsServer, type ReadyState } from "@culvert/telemetry";
import { afterEach, expect, test } from "vitest";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function start(
  ready: () => ReadyState = () => ({ ready: true, checks: {} }),
  more: { readonly headersTimeoutMs?: number } = {},
) {
  const metrics = createMetrics({ service: "test" });
  const ops = createOpsServer({
    host: "127.0.0.1",
    port: 0,
    metrics,
    ready,
    logger: createLogger({ service: "test", level: "silent" }),
    ...more,
  });
  const { host, port } = await ops.listen();
  closers.push(
    () => ops.close(),
    () => metrics.shutdown(),
  );
  return { metrics, host, port, url: `http://${host}:${port}` };
}

test("live answers 200 while ready follows its checks", async () => {
  const state = { ready: false, checks: { keys: "no snapshot yet" } };
  const { url } = await start(() => state);
  expect((await fetch(`${url}/healthz/live`)).status).toBe(200);
  const refused = await fetch(`${url}/healthz/ready`);
  expect(refused.status).toBe(503);
  expect(await refused.json()).toEqual(state);
  state.ready = true;
  state.checks = { keys: "ok" };
  expect((await fetch(`${url}/healthz/ready`)).status).toBe(200);
});

test("metrics are Prometheus text with the instruments and the process", async () => {
  const { url, metrics } = await start();
  metrics.meter.createCounter("culvert_things_total", { description: "Things" }).add(3, { kind: "a" });
  const response = await fetch(`${url}/metrics`);
  expect(response.headers.get("content-type")).toContain("text/plain; version=0.0.4");
  const text = await response.text();
  expect(text).toContain("# TYPE culvert_things_total counter");
  expect(text).toContain('culvert_things_total{kind="a"} 3\n');
  expect(text).toContain('target_info{service_name="test"');
  expect(text).toMatch(/^process_cpu_seconds_total [\d.]+$/m);
  expect(text).toMatch(/^process_resident_memory_bytes \d+$/m);
  expect(text).toMatch(/^process_open_fds \d+$/m);
});

test("other paths and methods are refused", async () => {
  const { url } = await start();
  expect((await fetch(`${url}/`)).status).toBe(404);
  expect((await fetch(`${url}/constructor`)).status).toBe(404);
  expect((await fetch(`${url}/metrics`, { method: "POST", body: "x" })).status).toBe(405);
  const head = await fetch(`${url}/healthz/live`, { method: "HEAD" });
  expect(head.status).toBe(200);
  expect(await head.text()).toBe("");
});

test.each([
  ["nothing", ""],
  ["half a header", "GET /metrics HTTP/1.1\r\nHost: a\r\nX-Slow: "],
  ["half a body", "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{"],
])("a connection that sends %s is closed", async (_name, text) => {
  const { host, port } = await start(undefined, { headersTimeoutMs: 100 });
  const socket = connect(port, host);
  socket.resume();
  socket.write(text);
  await once(socket, "close");
});

test("a taken port rejects", async () => {
  const { url } = await start();
  const metrics = createMetrics({ service: "test", process: false });
  const second = createOpsServer({
    host: "127.0.0.1",
    port: Number(new URL(url).port),
    metrics,
    ready: () => ({ ready: true, checks: {} }),
    logger: createLogger({ service: "test", level: "silent" }),
  });
  await expect(second.listen()).rejects.toMatchObject({ code: "EADDRINUSE" });
});
