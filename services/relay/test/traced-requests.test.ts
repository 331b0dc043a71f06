import { type CredentialClaims, type KeySource, mintCredential, type SigningKey } from "@culvert/credentials";
import { nodeCrypto } from "@culvert/runtime";
import type { ServiceTracing } from "@culvert/telemetry";
import { compactTrace } from "@culvert/tracing";
import { context, ROOT_CONTEXT, type SpanContext, trace } from "@opentelemetry/api";
import {
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
  StackContextManager,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { failure, startRelay, type TestRelay, USER } from "./harness.ts";

// Which requests of a relay by itself become spans, and of which trace they are.

const exporter = new InMemorySpanExporter();
const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
const tracing: ServiceTracing = {
  configured: true,
  tracer: provider.getTracer("test"),
  start: async () => {},
  shutdown: async () => {},
};
const key: SigningKey = { tenant: "acme", kid: "k1", secret: Buffer.from("a signing key"), state: "active" };
const keys: KeySource = {
  watch: (sink) => {
    sink.onSnapshot({ keys: [key], revocations: [] }, 1n);
    return { ready: Promise.resolve(), connected: () => true, close: () => {} };
  },
};
const ISSUED: SpanContext = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", traceFlags: 1 };

beforeAll(() => {
  context.setGlobalContextManager(new StackContextManager().enable());
});
afterAll(() => context.disable());
beforeEach(() => exporter.reset());

/** A credential that names the trace it was issued in, so many seconds ago. */
function issued(secondsAgo: number) {
  const now = Math.floor(Date.now() / 1000);
  const issuedAt = now - secondsAgo;
  const named = compactTrace(trace.setSpanContext(ROOT_CONTEXT, ISSUED));
  const claims: CredentialClaims = {
    tenant: "acme",
    user: "alice",
    issuedAt,
    ...(named === undefined ? {} : { trace: named }),
  };
  return mintCredential({ key, claims, expiresAt: now + 3600 }, nodeCrypto);
}

const start = (): Promise<TestRelay> => startRelay({}, { tracing, keys });

const named = (name: string): readonly ReadableSpan[] =>
  exporter.getFinishedSpans().filter((span) => span.name === name);

test("requests of a credential that names its trace are below the span that it was issued in", async () => {
  const relay = await start();
  const client = await relay.connect("udp", issued(1));
  await client.allocate();
  await client.createPermission(["127.0.0.2"]);
  await client.channelBind({ ip: "127.0.0.2", port: 5000 });
  await client.refresh();
  const spans = exporter.getFinishedSpans();
  expect(spans.map(({ name }) => name)).toEqual(["Allocate", "CreatePermission", "ChannelBind", "Refresh"]);
  for (const span of spans) {
    expect(span.spanContext().traceId).toBe(ISSUED.traceId);
    expect(span.parentSpanContext?.spanId).toBe(ISSUED.spanId);
    expect(span.attributes).toMatchObject({ "culvert.tenant": "acme", "culvert.turn.code": "success" });
  }
  expect(named("Allocate")[0]?.attributes["culvert.allocation"]).toMatch(/^[\w-]{16}$/);
});

test("long after it was issued they begin traces of their own, which link to it", async () => {
  const relay = await start();
  const client = await relay.connect("udp", issued(3000));
  await client.allocate();
  const [span] = named("Allocate");
  expect(span?.spanContext().traceId).not.toBe(ISSUED.traceId);
  expect(span?.parentSpanContext).toBeUndefined();
  expect(span?.links.map(({ context }) => context.traceId)).toEqual([ISSUED.traceId]);
});

test("requests of who names no trace begin one each", async () => {
  const relay = await start();
  const client = await relay.connect("tcp", USER);
  await client.allocate();
  await client.refresh();
  const spans = exporter.getFinishedSpans();
  expect(spans.map(({ name }) => name)).toEqual(["Allocate", "Refresh"]);
  expect(new Set(spans.map((span) => span.spanContext().traceId)).size).toBe(2);
  expect(spans[0]?.attributes["network.transport"]).toBe("tcp");
});

test("challenges, wrong passwords, indications and data are no spans", async () => {
  const relay = await start();
  const wrong = await relay.connect("udp", { ...issued(1), password: "wrong" });
  expect(await failure(wrong.allocate())).toMatchObject({ code: 401 });
  await wrong.binding();
  expect(exporter.getFinishedSpans()).toEqual([]);
  const client = await relay.connect("udp", USER);
  await client.allocate();
  client.send({ ip: "127.0.0.2", port: 5000 }, Buffer.from("without a permission"));
  await client.refresh();
  expect(exporter.getFinishedSpans().map(({ name }) => name)).toEqual(["Allocate", "Refresh"]);
});

test("a refusal is a span with its code", async () => {
  const relay = await start();
  const client = await relay.connect("udp", issued(1));
  await client.allocate();
  expect(await failure(client.createPermission(["10.1.2.3"]))).toMatchObject({ code: 403 });
  expect(named("CreatePermission")[0]?.attributes).toMatchObject({ "culvert.turn.code": 403 });
});

test("every request that is asked at once has its own span, its own allocation and one answer", async () => {
  const relay = await start();
  const clients = await Promise.all(Array.from({ length: 12 }, () => relay.connect("udp", issued(1))));
  await Promise.all(clients.map((client) => client.allocate()));
  const allocates = named("Allocate");
  expect(allocates).toHaveLength(12);
  expect(new Set(allocates.map(({ attributes }) => attributes["culvert.allocation"])).size).toBe(12);
  expect(new Set(allocates.map((span) => span.spanContext().spanId)).size).toBe(12);
});

test("the log line and the latency of a request name its trace", async () => {
  const relay = await start();
  const client = await relay.connect("udp", issued(1));
  await client.allocate();
  const spanId = named("Allocate")[0]?.spanContext().spanId;
  expect(relay.logs).toContainEqual(
    expect.objectContaining({ msg: "allocation created", trace_id: ISSUED.traceId, span_id: spanId }),
  );
  const untraced = relay.logs.filter(({ msg }) => msg !== "allocation created");
  expect(untraced.filter((line) => "trace_id" in line)).toEqual([]);
  const response = await fetch(`http://${relay.info.ops?.host}:${relay.info.ops?.port}/metrics`, {
    headers: { accept: "application/openmetrics-text" },
  });
  const exemplar = `# {trace_id="${ISSUED.traceId}",span_id="${spanId}"}`;
  const line = (await response.text()).split("\n").find((each) => each.includes(exemplar));
  expect(line).toMatch(/^culvert_relay_request_duration_seconds_bucket\{method="Allocate"/);
});

test("as long as there is no tracer, requests are served and there are no spans", async () => {
  const relay = await startRelay({}, { tracing: { ...tracing, tracer: undefined }, keys });
  const client = await relay.connect("udp", issued(1));
  await client.allocate();
  expect(await client.refresh()).toBeGreaterThan(0);
  expect(exporter.getFinishedSpans()).toEqual([]);
});
