import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { buffer } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";
import type { OtlpTarget } from "@culvert/config";
import { createLogger, createMetrics, createTracing } from "@culvert/telemetry";
import { testCertificate } from "@culvert/testkit";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { afterAll, afterEach, expect, test } from "vitest";

// Traces and metrics reach a collector in each way that OTLP has.

interface Taken {
  readonly path: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
}

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const certificate = await testCertificate();
afterAll(() => certificate.dispose());

async function httpCollector(tls: boolean): Promise<{ readonly port: number; readonly taken: readonly Taken[] }> {
  const taken: Taken[] = [];
  const server = tls ? createTlsServer({ cert: certificate.cert, key: certificate.key }) : createServer();
  server.on("request", (request, response) => {
    void buffer(request).then((body) => {
      taken.push({ path: request.url ?? "", headers: request.headers, body });
      response.writeHead(200, { "content-type": request.headers["content-type"] ?? "" }).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  return { port: typeof address === "object" && address !== null ? address.port : 0, taken };
}

async function grpcCollector(): Promise<{ readonly port: number; readonly taken: readonly Taken[] }> {
  const taken: Taken[] = [];
  const server = new Server();
  const plain = { deserialize: (bytes: Buffer) => bytes, serialize: (bytes: Buffer) => bytes };
  for (const kind of ["trace", "metrics"]) {
    const service = `${kind === "trace" ? "Trace" : "Metrics"}Service`;
    const path = `/opentelemetry.proto.collector.${kind}.v1.${service}/Export`;
    server.register(
      path,
      (call: { request: Buffer; metadata: { getMap(): object } }, done: (error: null, answer: Buffer) => void) => {
        taken.push({ path, headers: { ...call.metadata.getMap() }, body: call.request });
        done(null, Buffer.alloc(0));
      },
      plain.serialize,
      plain.deserialize,
      "unary",
    );
  }
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  closers.push(() => server.forceShutdown());
  return { port, taken };
}

/** One span and one measurement, exported as a process that stops does. */
async function exportOne(target: (signal: "traces" | "metrics") => OtlpTarget): Promise<void> {
  const logger = createLogger({ service: "test", level: "silent" });
  const resource = { "k8s.pod.name": "a-pod-in-particular" };
  const access = {
    resource,
    traces: { ...target("traces"), sampleRatio: 1, maxPerSecond: 10 },
    metrics: { ...target("metrics"), intervalMs: 60_000 },
  };
  const tracing = createTracing({ service: "test", access, logger });
  await tracing.start();
  tracing.tracer?.startSpan("a span in particular").end();
  const metrics = createMetrics({ service: "test", process: false, access, logger });
  metrics.meter.createCounter("things_in_particular_total").add(1);
  await Promise.all([tracing.shutdown(), metrics.shutdown()]);
}

const common = { headers: { "x-tenant": "t" }, timeoutMs: 30_000, compression: "none", tls: {} } as const;

test.each([
  ["http/protobuf", "application/x-protobuf"],
  ["http/json", "application/json"],
] as const)("over %s", async (protocol, type) => {
  const { port, taken } = await httpCollector(false);
  await exportOne((signal) => ({ ...common, protocol, url: `http://127.0.0.1:${port}/v1/${signal}` }));
  expect(taken.map(({ path }) => path).sort()).toEqual(["/v1/metrics", "/v1/traces"]);
  for (const { path, headers, body } of taken) {
    expect(headers).toMatchObject({ "content-type": type, "x-tenant": "t" });
    expect(body.includes(path === "/v1/traces" ? "a span in particular" : "things_in_particular_total")).toBe(true);
    expect(body.includes("a-pod-in-particular")).toBe(true);
  }
});

test("compressed, over TLS with an authority of its own", async () => {
  const { port, taken } = await httpCollector(true);
  const url = `https://127.0.0.1:${port}/v1/x`;
  await exportOne(() => ({
    ...common,
    protocol: "http/protobuf",
    compression: "gzip",
    tls: { ca: certificate.cert },
    url,
  }));
  expect(taken).toHaveLength(2);
  const bodies = taken.map(({ body }) => gunzipSync(body).toString("latin1")).join();
  expect(bodies).toContain("a span in particular");
  expect(bodies).toContain("things_in_particular_total");
});

test("over gRPC", async () => {
  const { port, taken } = await grpcCollector();
  await exportOne(() => ({ ...common, protocol: "grpc", url: `http://127.0.0.1:${port}` }));
  expect(taken.map(({ path }) => path).sort()).toEqual([
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
  ]);
  for (const { headers } of taken) expect(headers).toMatchObject({ "x-tenant": "t" });
});

test("a collector that is away is a line in the log, and holds nobody up", async () => {
  const lines: Record<string, unknown>[] = [];
  const logger = createLogger({ service: "test", destination: { write: (line) => void lines.push(JSON.parse(line)) } });
  const target = { ...common, protocol: "http/protobuf", url: "http://127.0.0.1:9/v1/traces", timeoutMs: 300 } as const;
  const tracing = createTracing({
    service: "test",
    access: { resource: {}, traces: { ...target, sampleRatio: 1, maxPerSecond: 10 } },
    logger,
  });
  await tracing.start();
  tracing.tracer?.startSpan("lost").end();
  await tracing.shutdown();
  expect(lines).toContainEqual(
    expect.objectContaining({ level: "warn", signal: "traces", msg: "telemetry is not taken" }),
  );
});
