import { loadConfig, readTelemetryAccess, type TelemetryAccess, telemetrySection } from "@culvert/config";
import { expect, test } from "vitest";
import { z } from "zod";

const schema = z.strictObject({ telemetry: telemetrySection() });

function access(env: Record<string, string>): TelemetryAccess {
  const { telemetry } = loadConfig(schema, { section: "relay", env });
  return readTelemetryAccess("relay.telemetry", telemetry, env);
}

function failure(env: Record<string, string>): string {
  try {
    access(env);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return "nothing was refused";
}

const ENDPOINT = { CULVERT_RELAY_TELEMETRY_OTLP_ENDPOINT: "http://collector:4318/" };

test("nothing is exported unless there is an endpoint", () => {
  expect(access({})).toEqual({ resource: {} });
});

test("an endpoint is enough: traces and metrics go there", () => {
  const common = { protocol: "http/protobuf", headers: {}, timeoutMs: 10_000, compression: "none", tls: {} };
  expect(access(ENDPOINT)).toEqual({
    resource: {},
    traces: { url: "http://collector:4318/v1/traces", ...common, sampleRatio: 1, maxPerSecond: 20 },
    metrics: { url: "http://collector:4318/v1/metrics", ...common, intervalMs: 60_000 },
  });
});

test("the variables of OpenTelemetry count where a key is absent", () => {
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: "https://all:4318/base",
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "https://traces:1/own",
    OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: "http/json",
    OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20x, tenant=t",
    OTEL_EXPORTER_OTLP_TIMEOUT: "2500",
    OTEL_EXPORTER_OTLP_COMPRESSION: "gzip",
    OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
    OTEL_TRACES_SAMPLER_ARG: "0.25",
    OTEL_METRIC_EXPORT_INTERVAL: "5000",
    OTEL_SERVICE_NAME: "edge",
    OTEL_RESOURCE_ATTRIBUTES: "k8s.pod.name=relay-0,service.instance.id=relay-0,service.name=other",
  };
  const { traces, metrics, resource } = access(env);
  expect(traces).toMatchObject({ url: "https://traces:1/own", protocol: "http/protobuf", sampleRatio: 0.25 });
  expect(traces).toMatchObject({ timeoutMs: 2500, compression: "gzip" });
  expect(traces?.headers).toEqual({ authorization: "Bearer x", tenant: "t" });
  expect(metrics).toMatchObject({ url: "https://all:4318/base/v1/metrics", protocol: "http/json", intervalMs: 5000 });
  expect(resource).toEqual({
    "k8s.pod.name": "relay-0",
    "service.instance.id": "relay-0",
    "service.name": "edge",
  });
  const keys = access({ ...env, ...ENDPOINT, CULVERT_RELAY_TELEMETRY_TRACES_SAMPLE_RATIO: "0.5" });
  expect(keys.traces).toMatchObject({ url: "http://collector:4318/v1/traces", sampleRatio: 0.5 });
});

test("gRPC has one endpoint for all", () => {
  const { traces, metrics } = access({ ...ENDPOINT, CULVERT_RELAY_TELEMETRY_OTLP_PROTOCOL: "grpc" });
  expect([traces?.url, metrics?.url]).toEqual(["http://collector:4318/", "http://collector:4318/"]);
});

test.each([
  [{ OTEL_SDK_DISABLED: "true" }, false, false],
  [{ OTEL_TRACES_EXPORTER: "none" }, false, true],
  [{ OTEL_METRICS_EXPORTER: "prometheus" }, true, false],
  [{ CULVERT_RELAY_TELEMETRY_TRACES_ENABLED: "false" }, false, true],
  [{ CULVERT_RELAY_TELEMETRY_METRICS_ENABLED: "false" }, true, false],
])("%j switches off", (env, traces, metrics) => {
  const found = access({ ...ENDPOINT, ...env });
  expect([found.traces !== undefined, found.metrics !== undefined]).toEqual([traces, metrics]);
});

test.each([
  [{ CULVERT_RELAY_TELEMETRY_OTLP_ENDPOINT: "collector:4318" }, /^relay\.telemetry\.otlp\.endpoint: collector:4318: /],
  [{ CULVERT_RELAY_TELEMETRY_OTLP_HEADERS: "open sesame" }, /^relay\.telemetry\.otlp\.headers: \(secret\): /],
  [{ CULVERT_RELAY_TELEMETRY_TRACES_SAMPLE_RATIO: "2" }, /^relay\.telemetry\.traces\.sampleRatio: 2: /],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: "collector" }, /^OTEL_EXPORTER_OTLP_ENDPOINT: collector: must be a URL/],
  [
    { ...ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS: "sesame" },
    /^OTEL_EXPORTER_OTLP_HEADERS: \(secret\): must be name=value/,
  ],
  [{ ...ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: "udp" }, /^OTEL_EXPORTER_OTLP_PROTOCOL: udp: must be http\/protobuf, /],
  [{ ...ENDPOINT, OTEL_TRACES_SAMPLER: "jaeger_remote" }, /^OTEL_TRACES_SAMPLER: jaeger_remote: must be always_on, /],
  [{ ...ENDPOINT, OTEL_TRACES_SAMPLER_ARG: "half" }, /^OTEL_TRACES_SAMPLER_ARG: half: must be a number, 0 to 1$/],
  [{ ...ENDPOINT, OTEL_TRACES_EXPORTER: "zipkin" }, /^OTEL_TRACES_EXPORTER: zipkin: must be otlp or none$/],
  [{ ...ENDPOINT, OTEL_EXPORTER_OTLP_CERTIFICATE: "/none" }, /^OTEL_EXPORTER_OTLP_CERTIFICATE: \/none: /],
])("%j is refused in one line that names it", (env, message) => {
  const text = failure(env);
  expect(text).toMatch(message);
  expect(text).not.toContain("\n");
  expect(text).not.toContain("sesame");
});
