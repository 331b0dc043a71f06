import type { SpanSpec } from "@culvert/tracing";
import { SpanKind } from "@opentelemetry/api";
import type { RedisOptions } from "./options.ts";
import type { Script } from "./script.ts";

/** Spans of scripts, by their sha. Keys and words are never in them: they hold users and addresses. */
export function scriptSpans(
  options: RedisOptions,
  scripts: Readonly<Record<string, Script>>,
): ReadonlyMap<string, SpanSpec> {
  const attributes = attributesOf(options);
  return new Map(
    Object.entries(scripts).map(([name, { sha }]) => [
      sha,
      {
        name: `EVALSHA ${name}`,
        kind: SpanKind.CLIENT,
        attributes: { ...attributes, "db.operation.name": "EVALSHA", "db.stored_procedure.name": name },
      },
    ]),
  );
}

/** The span of what is no script. */
export function commandSpan(options: RedisOptions): SpanSpec {
  return { name: "redis", kind: SpanKind.CLIENT, attributes: attributesOf(options) };
}

function attributesOf({ server, database }: RedisOptions): Readonly<Record<string, string | number>> {
  const [first] = server.kind === "standalone" ? [server] : server.kind === "cluster" ? server.nodes : server.sentinels;
  return {
    "db.system.name": "redis",
    "db.namespace": String(database),
    ...(first === undefined ? {} : { "server.address": first.host, "server.port": first.port }),
  };
}
