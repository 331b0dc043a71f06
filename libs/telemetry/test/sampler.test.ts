import { ROOT_CONTEXT, SpanKind, trace } from "@opentelemetry/api";
import { SamplingDecision } from "@opentelemetry/sdk-trace";
import { expect, test } from "vitest";
import { edgeSampler } from "../src/sampler.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const parent = (traceFlags: number, isRemote: boolean) =>
  trace.setSpanContext(ROOT_CONTEXT, { traceId: TRACE, spanId: "b7ad6b7169203331", traceFlags, isRemote });

function sampler(sampleRatio: number, maxPerSecond = 1000) {
  let now = 0;
  const made = edgeSampler({ sampleRatio, maxPerSecond, clock: () => now });
  let serial = 1;
  return {
    pass: (ms: number) => {
      now += ms;
    },
    samples: (from = ROOT_CONTEXT): boolean => {
      // Spread over all ids, as random ones are.
      const id = (serial++ * 2_654_435_761) % 2 ** 32;
      const traceId = id.toString(16).padStart(8, "0") + TRACE.slice(8);
      const { decision } = made.shouldSample(from, traceId, "span", SpanKind.SERVER, {}, []);
      return decision === SamplingDecision.RECORD_AND_SAMPLED;
    },
  };
}

const count = (times: number, sampled: () => boolean): number =>
  Array.from({ length: times }, sampled).filter(Boolean).length;

test("a ratio of the traces that begin here is sampled", () => {
  const { samples } = sampler(0.25, 10_000);
  const sampled = count(1000, () => samples());
  expect(sampled).toBeGreaterThan(200);
  expect(sampled).toBeLessThan(300);
  expect(count(100, sampler(0).samples)).toBe(0);
  expect(count(100, sampler(1).samples)).toBe(100);
});

test("what a caller has decided counts, whatever the ratio", () => {
  expect(sampler(0).samples(parent(1, true))).toBe(true);
  expect(sampler(1).samples(parent(0, true))).toBe(false);
});

test("no more than so many a second enter, whoever decided", () => {
  const { samples, pass } = sampler(1, 20);
  expect(count(100, () => samples())).toBe(20);
  expect(samples(parent(1, true))).toBe(false);
  pass(500);
  expect(count(100, () => samples(parent(1, true)))).toBe(10);
});

test("what is inside of a sampled request is not counted", () => {
  const { samples } = sampler(1, 1);
  expect(samples()).toBe(true);
  expect(samples()).toBe(false);
  expect(count(100, () => samples(parent(1, false)))).toBe(100);
});
