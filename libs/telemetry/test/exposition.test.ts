import { createMetrics, negotiateExposition } from "@culvert/telemetry";
import { ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { afterEach, expect, test } from "vitest";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

function open() {
  const metrics = createMetrics({ service: "test", process: false });
  closers.push(() => metrics.shutdown());
  return metrics;
}

const traced = (traceId: string, traceFlags = 1) =>
  trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId: "b7ad6b7169203331", traceFlags });
const FIRST = "0af7651916cd43dd8448eb211c80319c";
const SECOND = "1af7651916cd43dd8448eb211c80319c";

test.each([
  [undefined, "text"],
  ["*/*", "text"],
  ["text/plain", "text"],
  ["application/openmetrics-text", "openmetrics"],
  [
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
    "openmetrics",
  ],
  ["application/openmetrics-text;q=0.1, text/plain;q=0.9", "text"],
  ["application/openmetrics-text;q=0", "text"],
])("who accepts %j gets %s", (accept, format) => {
  expect(negotiateExposition(accept)).toBe(format);
});

test("both formats hold the same series", async () => {
  const { meter, collect } = open();
  meter.createCounter("things_total", { description: 'Things "of" a kind' }).add(3, { kind: 'a"b\\c\nd' });
  meter.createCounter("untotalled").add(1);
  meter.createUpDownCounter("level").add(-2);
  const seconds = meter.createHistogram("wait_seconds", { advice: { explicitBucketBoundaries: [0.5, 1] } });
  for (const value of [0.1, 0.7, 9]) seconds.record(value, { code: 200 });
  const samples = [
    'things_total{kind="a\\"b\\\\c\\nd"} 3',
    "untotalled_total 1",
    "level -2",
    'wait_seconds_bucket{code="200",le="0.5"} 1',
    'wait_seconds_bucket{code="200",le="1"} 2',
    'wait_seconds_bucket{code="200",le="+Inf"} 3',
    'wait_seconds_sum{code="200"} 9.8',
    'wait_seconds_count{code="200"} 3',
  ];
  const text = await collect();
  const openmetrics = await collect("openmetrics");
  for (const lines of [text, openmetrics]) {
    expect(
      lines.split("\n").filter((line) => line !== "" && !line.startsWith("#") && !line.startsWith("target_info")),
    ).toEqual(samples);
  }
  expect(text).toContain('# HELP things_total Things "of" a kind\n# TYPE things_total counter\n');
  expect(openmetrics).toContain('# HELP things Things \\"of\\" a kind\n# TYPE things counter\n');
  expect(openmetrics).toContain("# TYPE target info\ntarget_info{");
  expect(openmetrics.endsWith("\n# EOF\n")).toBe(true);
});

test("what was measured in a sampled trace names it, for the bucket that it is in", async () => {
  const { meter, collect } = open();
  const seconds = meter.createHistogram("wait_seconds", { advice: { explicitBucketBoundaries: [0.5, 1] } });
  const count = meter.createCounter("things_total");
  seconds.record(0.1, { code: 200 }, traced(FIRST));
  seconds.record(0.2, { code: 500 });
  seconds.record(9, { code: 200 }, traced(SECOND));
  seconds.record(0.7, { code: 200 }, traced(SECOND, 0));
  count.add(2, {}, traced(FIRST));
  const text = await collect("openmetrics");
  const exemplar = (id: string, value: number): string =>
    ` # \\{trace_id="${id}",span_id="b7ad6b7169203331"\\} ${value} \\d+\\.\\d{3}$`;
  expect(text).toMatch(new RegExp(`^wait_seconds_bucket\\{code="200",le="0.5"\\} 1${exemplar(FIRST, 0.1)}`, "m"));
  expect(text).toMatch(/^wait_seconds_bucket\{code="200",le="1"\} 2$/m);
  expect(text).toMatch(new RegExp(`^wait_seconds_bucket\\{code="200",le="\\+Inf"\\} 3${exemplar(SECOND, 9)}`, "m"));
  expect(text).toMatch(/^wait_seconds_bucket\{code="500",le="0.5"\} 1$/m);
  expect(text).toMatch(new RegExp(`^things_total 2${exemplar(FIRST, 2)}`, "m"));
  expect(await collect("text")).not.toContain(FIRST);
});
