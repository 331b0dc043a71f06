import {
  compactTrace,
  enterSpan,
  expandTrace,
  inSpan,
  NOT_TRACED,
  outside,
  traceFields,
  traceHeaders,
} from "@culvert/tracing";
import { context, INVALID_SPAN_CONTEXT, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { expect, test } from "vitest";

// What libraries see of tracing while it is off, and how a trace is carried in little room.

const SPAN = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", traceFlags: 1 };

test("nothing is traced where there is no tracer", async () => {
  expect(enterSpan(NOT_TRACED, { name: "request" })).toBeUndefined();
  expect(await inSpan({ name: "work" }, async (span) => span)).toBeUndefined();
  expect(traceHeaders()).toBeUndefined();
  expect(traceFields()).toEqual({});
  expect(outside(() => context.active())).toBe(ROOT_CONTEXT);
  await expect(inSpan({ name: "work" }, async () => Promise.reject(new Error("as it is")))).rejects.toThrow("as it is");
});

test("fields for a log line belong to the caller", () => {
  Object.assign(traceFields(), { left: "over" });
  expect(traceFields()).toEqual({});
});

test("a sampled trace fits in 32 characters, and comes back", () => {
  const text = compactTrace(trace.setSpanContext(ROOT_CONTEXT, SPAN));
  expect(text).toMatch(/^[\w-]{32}$/);
  expect(expandTrace(text ?? "")).toEqual({ ...SPAN, isRemote: true });
});

test.each([
  ["not sampled", { ...SPAN, traceFlags: 0 }],
  ["none", undefined],
])("a trace that is %s is not carried", (_, span) => {
  expect(compactTrace(span === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, span))).toBeUndefined();
});

test.each(["", "short", "A".repeat(32), "?".repeat(32), "_".repeat(40)])("%j is no trace", (text) => {
  expect(expandTrace(text)).toBeUndefined();
});

test("an invalid span is no trace to carry", () => {
  expect(compactTrace(trace.setSpanContext(ROOT_CONTEXT, INVALID_SPAN_CONTEXT))).toBeUndefined();
});
