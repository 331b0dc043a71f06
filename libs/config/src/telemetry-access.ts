import type { z } from "zod";
import { readPem } from "./certificate.ts";
import { ConfigError, showValue } from "./error.ts";
import { type GrpcClientTls, readClientTls } from "./grpc.ts";
import { OTLP_PROTOCOLS, type OtlpProtocol, otlpHeaders, otlpUrl, type TelemetryConfig } from "./telemetry.ts";

/** Where one kind of data goes. */
export interface OtlpTarget {
  /** For HTTP the whole URL; for gRPC the origin. */
  readonly url: string;
  readonly protocol: OtlpProtocol;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly compression: "none" | "gzip";
  /** PEM texts. */
  readonly tls: GrpcClientTls;
}

/** What the key `telemetry` and the variables of OpenTelemetry come to. */
export interface TelemetryAccess {
  /** Absent: nothing is traced. */
  readonly traces?: OtlpTarget & {
    /** Of the traces that begin here; 0 to 1. */
    readonly sampleRatio: number;
    readonly maxPerSecond: number;
  };
  /** Absent: metrics are not exported. */
  readonly metrics?: OtlpTarget & { readonly intervalMs: number };
  /** Of OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES. */
  readonly resource: Readonly<Record<string, string>>;
}

type Env = Readonly<Record<string, string | undefined>>;
type Signal = "TRACES" | "METRICS";

/**
 * Keys count before variables, and a variable of one signal before the one of both. Throws a ConfigError of one line for a
 * variable or a file that cannot be used; keys start with `prefix`: `relay.telemetry`.
 */
export function readTelemetryAccess(prefix: string, config: TelemetryConfig, env: Env): TelemetryAccess {
  const resource = resourceOf(env);
  if (textOf(env, "OTEL_SDK_DISABLED")?.toLowerCase() === "true") return { resource };
  const { traces, metrics } = config;
  const traceTarget = traces.enabled && isExported(env, "TRACES") ? target(prefix, config, env, "TRACES") : undefined;
  const metricTarget =
    metrics.enabled && isExported(env, "METRICS") ? target(prefix, config, env, "METRICS") : undefined;
  const intervalMs = numberOf(env, "OTEL_METRIC_EXPORT_INTERVAL", 1);
  return {
    resource,
    ...(traceTarget === undefined
      ? {}
      : {
          traces: {
            ...traceTarget,
            sampleRatio: traces.sampleRatio ?? sampleRatio(env),
            maxPerSecond: traces.maxPerSecond,
          },
        }),
    ...(metricTarget === undefined
      ? {}
      : {
          metrics: {
            ...metricTarget,
            intervalMs: metrics.interval === undefined ? (intervalMs ?? 60_000) : metrics.interval * 1000,
          },
        }),
  };
}

function target(prefix: string, { otlp }: TelemetryConfig, env: Env, signal: Signal): OtlpTarget | undefined {
  const own = (name: string): string | undefined => textOf(env, `OTEL_EXPORTER_OTLP_${signal}_${name}`);
  const name = (what: string): string =>
    own(what) === undefined ? `OTEL_EXPORTER_OTLP_${what}` : `OTEL_EXPORTER_OTLP_${signal}_${what}`;
  const value = (what: string): string | undefined => textOf(env, name(what));

  const protocol = otlp.protocol ?? protocolOf(name("PROTOCOL"), value("PROTOCOL"));
  const endpoint = otlp.endpoint ?? value("ENDPOINT");
  if (endpoint === undefined) return undefined;
  if (otlp.endpoint === undefined) refuseUnless(otlpUrl(), name("ENDPOINT"), endpoint);
  // The endpoint of one signal is the whole URL; that of both is what is common to them.
  const isWhole = protocol === "grpc" || (otlp.endpoint === undefined && own("ENDPOINT") !== undefined);
  const url = isWhole ? endpoint : `${endpoint.replace(/\/+$/, "")}/v1/${signal.toLowerCase()}`;

  const headers = otlp.headers ?? value("HEADERS");
  if (headers !== undefined && otlp.headers === undefined) {
    refuseUnless(otlpHeaders(), name("HEADERS"), headers, "(secret)");
  }
  const timeoutMs = otlp.timeout === undefined ? numberOf(env, name("TIMEOUT"), 1) : otlp.timeout * 1000;
  const pem = (what: string): string | undefined => {
    const file = value(what);
    return file === undefined ? undefined : readPem(name(what), file);
  };
  const tls =
    otlp.tls === undefined
      ? { ca: pem("CERTIFICATE"), cert: pem("CLIENT_CERTIFICATE"), key: pem("CLIENT_KEY") }
      : readClientTls(`${prefix}.otlp.tls`, otlp.tls);
  return {
    url,
    protocol,
    headers: parsePairs(headers ?? ""),
    timeoutMs: timeoutMs ?? 10_000,
    compression: value("COMPRESSION") === "gzip" ? "gzip" : "none",
    tls: Object.fromEntries(Object.entries(tls).filter(([, text]) => text !== undefined)),
  };
}

/** An empty variable counts as not set. */
function textOf(env: Env, name: string): string | undefined {
  const text = env[name]?.trim();
  return text === "" ? undefined : text;
}

function isExported(env: Env, signal: Signal): boolean {
  const name = `OTEL_${signal}_EXPORTER`;
  const exporters = textOf(env, name)?.split(",") ?? ["otlp"];
  // `prometheus` is there in any case.
  for (const exporter of exporters) {
    if (!["otlp", "none", ...(signal === "METRICS" ? ["prometheus"] : [])].includes(exporter.trim())) {
      throw new ConfigError(`${name}: ${showValue(exporter)}: must be otlp or none`);
    }
  }
  return exporters.some((exporter) => exporter.trim() === "otlp");
}

function protocolOf(name: string, text: string | undefined): OtlpProtocol {
  if (text === undefined) return "http/protobuf";
  const protocol = OTLP_PROTOCOLS.find((each) => each === text);
  if (protocol === undefined) throw new ConfigError(`${name}: ${showValue(text)}: must be ${list(OTLP_PROTOCOLS)}`);
  return protocol;
}

/** What the ratio samplers say, each of them based on the parent here. */
const SAMPLERS: Readonly<Record<string, (ratio: number) => number>> = {
  always_on: () => 1,
  always_off: () => 0,
  traceidratio: (ratio) => ratio,
};

function sampleRatio(env: Env): number {
  const name = "OTEL_TRACES_SAMPLER";
  const text = textOf(env, name) ?? "always_on";
  const sampler = SAMPLERS[text.replace(/^parentbased_/, "")];
  if (sampler === undefined) {
    const names = Object.keys(SAMPLERS).flatMap((each) => [each, `parentbased_${each}`]);
    throw new ConfigError(`${name}: ${showValue(text)}: must be ${list(names)}`);
  }
  return sampler(numberOf(env, `${name}_ARG`, 0, 1) ?? 1);
}

function numberOf(env: Env, name: string, min: number, max: number = Number.MAX_SAFE_INTEGER): number | undefined {
  const text = textOf(env, name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (value >= min && value <= max) return value;
  const range = max === Number.MAX_SAFE_INTEGER ? `${min} or more` : `${min} to ${max}`;
  throw new ConfigError(`${name}: ${showValue(text)}: must be a number, ${range}`);
}

function resourceOf(env: Env): Readonly<Record<string, string>> {
  const service = textOf(env, "OTEL_SERVICE_NAME");
  return {
    ...parsePairs(textOf(env, "OTEL_RESOURCE_ATTRIBUTES") ?? ""),
    ...(service === undefined ? {} : { "service.name": service }),
  };
}

/** `name=value,name=value`, as W3C Baggage writes it. What is no pair is left out. */
function parsePairs(text: string): Readonly<Record<string, string>> {
  const pairs = text.split(",").flatMap((pair): [string, string][] => {
    const equals = pair.indexOf("=");
    return equals < 1 ? [] : [[pair.slice(0, equals).trim(), decode(pair.slice(equals + 1).trim())]];
  });
  return Object.fromEntries(pairs);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function refuseUnless(schema: z.ZodType, name: string, value: string, shown: string = showValue(value)): void {
  const [issue] = schema.safeParse(value).error?.issues ?? [];
  if (issue !== undefined) throw new ConfigError(`${name}: ${shown}: ${issue.message}`);
}

function list(words: readonly string[]): string {
  return `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}
