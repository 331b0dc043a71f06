import { appendFile, readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";

/** A span as it was exported. */
export interface ExportedSpan {
  readonly service: string;
  readonly name: string;
  /** 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty where a trace begins. */
  readonly parentSpanId: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly resource: Readonly<Record<string, string>>;
  /** Trace ids. */
  readonly links: readonly string[];
  /** Nanoseconds since the Unix epoch. */
  readonly start: bigint;
  readonly end: bigint;
}

interface KeyValue {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

interface TraceRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] };
    readonly scopeSpans: readonly {
      readonly spans: readonly {
        readonly name: string;
        readonly kind: number;
        readonly traceId: string;
        readonly spanId: string;
        readonly parentSpanId?: string;
        readonly attributes: readonly KeyValue[];
        readonly links?: readonly { readonly traceId: string }[];
        readonly startTimeUnixNano: string;
        readonly endTimeUnixNano: string;
      }[];
    }[];
  }[];
}

interface MetricsRequest {
  readonly resourceMetrics: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] };
    readonly scopeMetrics: readonly { readonly metrics: readonly { readonly name: string }[] }[];
  }[];
}

/** A collector that takes OTLP/HTTP as JSON, and writes each request as a line to a file, as the file exporter does. */
export class Collector {
  readonly endpoint: string;
  readonly #folder: string;
  readonly #close: () => void;

  static async start(folder: string): Promise<Collector> {
    // One after another: lines that are written at once would be one in the other.
    let written: Promise<void> = Promise.resolve();
    const server = createServer((request, response) => {
      const kind = /^\/v1\/(traces|metrics)$/.exec(request.url ?? "")?.[1];
      void text(request).then(async (body) => {
        if (kind !== undefined) {
          written = written.then(() => appendFile(join(folder, `${kind}.jsonl`), `${body}\n`));
          await written;
        }
        response.writeHead(kind === undefined ? 404 : 200, { "content-type": "application/json" }).end("{}");
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    return new Collector(`http://127.0.0.1:${port}`, folder, () => {
      server.close();
      server.closeAllConnections();
    });
  }

  private constructor(endpoint: string, folder: string, close: () => void) {
    this.endpoint = endpoint;
    this.#folder = folder;
    this.#close = close;
  }

  close(): void {
    this.#close();
  }

  /** Every span that was exported until now. */
  async spans(): Promise<readonly ExportedSpan[]> {
    return (await this.#lines<TraceRequest>("traces")).flatMap(({ resourceSpans }) =>
      resourceSpans.flatMap(({ resource, scopeSpans }) => {
        const shared = textsOf(resource.attributes);
        return scopeSpans.flatMap(({ spans }) =>
          spans.map(
            (span): ExportedSpan => ({
              service: shared["service.name"] ?? "",
              name: span.name,
              kind: span.kind,
              traceId: span.traceId,
              spanId: span.spanId,
              parentSpanId: span.parentSpanId ?? "",
              attributes: textsOf(span.attributes),
              resource: shared,
              links: (span.links ?? []).map(({ traceId }) => traceId),
              start: BigInt(span.startTimeUnixNano),
              end: BigInt(span.endTimeUnixNano),
            }),
          ),
        );
      }),
    );
  }

  /** Names of the metrics that a service has exported until now. */
  async metrics(service: string): Promise<ReadonlySet<string>> {
    const requests = await this.#lines<MetricsRequest>("metrics");
    const own = requests
      .flatMap(({ resourceMetrics }) => resourceMetrics)
      .filter(({ resource }) => textsOf(resource.attributes)["service.name"] === service);
    return new Set(
      own.flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics.map(({ name }) => name))),
    );
  }

  async #lines<T>(kind: string): Promise<readonly T[]> {
    const all = await readFile(join(this.#folder, `${kind}.jsonl`), "utf8").catch(() => "");
    // What comes after the last end of a line is being written.
    return all
      .split("\n")
      .slice(0, -1)
      .map((line): T => JSON.parse(line));
  }
}

function textsOf(attributes: readonly KeyValue[]): Readonly<Record<string, string>> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, String(Object.values(value)[0])]));
}
