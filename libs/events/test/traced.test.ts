import { createMemoryBus, MemoryBroker, tracedBus } from "@culvert/events";
import { enterSpan, NOT_TRACED, type Tracing, within } from "@culvert/tracing";
import { type Context, context, propagation, ROOT_CONTEXT, type Span, SpanKind, trace } from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import {
  InMemorySpanExporter,
  SimpleSpanProcessor,
  StackContextManager,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";

// What a bus carries along with a message that is part of a trace.

const exporter = new InMemorySpanExporter();
const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
const tracing: Tracing = { tracer: provider.getTracer("test") };

beforeAll(() => {
  context.setGlobalContextManager(new StackContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
});

afterAll(() => {
  context.disable();
  propagation.disable();
});

beforeEach(() => exporter.reset());

function inRequest<T>(work: (span: Span) => T): T {
  const entry = enterSpan(tracing, { name: "request", kind: SpanKind.SERVER });
  if (entry === undefined) throw new Error("there is no span");
  return within(entry.context, () => work(entry.span));
}

const finished = (name: string) => exporter.getFinishedSpans().find((span) => span.name === name);

test("who takes a message is below who sent it, and works in that span", async () => {
  const broker = new MemoryBroker();
  const [from, to] = [tracedBus(broker.connect(), tracing), tracedBus(broker.connect(), tracing)];
  let active: Context = ROOT_CONTEXT;
  await to.subscribe("culvert.fleet.relay.*.drain", () => {
    active = context.active();
  });
  const request = inRequest((span) => {
    from.publish("culvert.fleet.relay.secret-name.drain", new Uint8Array(1), { kept: "too" });
    return span;
  });
  await from.flush();
  const [sent, taken] = [finished("send culvert.fleet.relay"), finished("process culvert.fleet.relay")];
  expect(sent?.parentSpanContext?.spanId).toBe(request.spanContext().spanId);
  expect(taken?.parentSpanContext?.spanId).toBe(sent?.spanContext().spanId);
  expect(trace.getSpanContext(active)?.spanId).toBe(taken?.spanContext().spanId);
  expect(JSON.stringify([sent?.attributes, taken?.attributes])).not.toContain("secret-name");
});

test("headers that were there stay, and messages outside of traces are as they were", async () => {
  const plain = createMemoryBus();
  const bus = tracedBus(plain, tracing);
  const headers: object[] = [];
  await plain.subscribe("a.>", (message) => void headers.push(message.headers));
  bus.publish("a.b", new Uint8Array(1), { kept: "too" });
  inRequest(() => bus.publish("a.b", new Uint8Array(1), { kept: "too" }));
  await bus.flush();
  expect(headers).toEqual([
    { kept: "too" },
    { kept: "too", traceparent: expect.stringMatching(/^00-\w{32}-\w{16}-01$/) },
  ]);
  expect(exporter.getFinishedSpans().map(({ name }) => name)).toEqual(["send a.b"]);
});

test("the span of a request lasts until its answer, and says when there is none", async () => {
  const bus = tracedBus(createMemoryBus(), tracing);
  await bus.subscribe("asked", ({ respond }) => respond?.(new Uint8Array([7])));
  const answer = await inRequest(() => bus.request("asked", new Uint8Array(0)));
  expect([...answer.data]).toEqual([7]);
  await expect(inRequest(() => bus.request("unheard", new Uint8Array(0)))).rejects.toMatchObject({
    code: "no-responders",
  });
  expect(finished("request asked")?.attributes["error.type"]).toBeUndefined();
  expect(finished("request unheard")?.attributes["error.type"]).toBe("no-responders");
});

test("a handler that fails is told of, and its span says so", async () => {
  const bus = tracedBus(createMemoryBus(), tracing);
  const errors: unknown[] = [];
  bus.onError((error) => errors.push(error));
  await bus.subscribe("now", () => {
    throw new TypeError("at once");
  });
  await bus.subscribe("later", async () => Promise.reject(new RangeError("later")));
  inRequest(() => {
    bus.publish("now", new Uint8Array(0));
    bus.publish("later", new Uint8Array(0));
  });
  await bus.flush();
  await new Promise((resolve) => setImmediate(resolve));
  expect(errors).toEqual([new TypeError("at once"), new RangeError("later")]);
  expect(finished("process now")?.attributes["error.type"]).toBe("TypeError");
  expect(finished("process later")?.attributes["error.type"]).toBe("RangeError");
});

test("who does not trace takes messages of those who do", async () => {
  const broker = new MemoryBroker();
  const [from, to] = [tracedBus(broker.connect(), tracing), tracedBus(broker.connect(), NOT_TRACED)];
  const taken: string[] = [];
  await to.subscribe("a", ({ subject }) => void taken.push(subject));
  inRequest(() => from.publish("a", new Uint8Array(0)));
  await from.flush();
  expect(taken).toEqual(["a"]);
});
