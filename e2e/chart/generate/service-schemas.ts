import { credentialConfigSchema } from "@culvert/credential-service";
import { relayConfigSchema } from "@culvert/relay-service";
import { signalingConfigSchema } from "@culvert/signaling-service";
import { stunConfigSchema } from "@culvert/stun-service";
import { z } from "zod";
import type { JsonSchema } from "./json-schema.ts";

interface Service {
  readonly schema: z.ZodType;
  /** Keys that the chart sets itself, from other values, from Secrets or from the pod. A mapping goes with all that is in it. */
  readonly ownKeys: readonly string[];
}

const under = (path: string, ...keys: readonly string[]): readonly string[] => keys.map((key) => `${path}.${key}`);
const redis = (path: string): readonly string[] =>
  under(path, "url", "sentinels", "master", "sentinelUsername", "cluster", "database", "username", "tls", "prefix");
const nats = (path: string): readonly string[] => under(path, "servers", "user", "credentials", "tls");
const TLS = under("tls", "cert", "key");
const COMMON = [
  ...["ops", "logLevel", "telemetry.traces", "telemetry.metrics"],
  ...under("telemetry.otlp", "endpoint", "protocol"),
];

export const SERVICES: Readonly<Record<"credential" | "signaling" | "stun" | "relay", Service>> = {
  credential: {
    schema: credentialConfigSchema,
    ownKeys: [
      ...COMMON,
      ...redis("redis"),
      ...nats("nats"),
      ...under("http", "host", "port"),
      ...under("grpc", "host", "port", "enabled", "tls"),
      ...["publicHost", "turn", "uris", "tenants"],
    ],
  },
  signaling: { schema: signalingConfigSchema, ownKeys: [...COMMON, ...nats("nats"), "listen", "credential", "drain"] },
  stun: { schema: stunConfigSchema, ownKeys: [...COMMON, ...TLS, "listeners", "alternate", "partner"] },
  relay: {
    schema: relayConfigSchema,
    ownKeys: [
      ...COMMON,
      ...TLS,
      ...["realm", "listeners", "addresses", "externalAddress", "ports", "lifetime", "credential"],
      ...under("peers", "allow", "deny", "backends"),
      ...["quotas", "drain", "grpc", "auth.users"],
      ...under("fleet", "identity", "host", "secrets", "mesh", "advertise", "failover"),
      ...redis("fleet.redis"),
      ...nats("fleet.nats"),
    ],
  },
};

/**
 * What `<service>.config` may hold: the service's own schema without what the chart sets itself and without secrets, nothing of
 * it required.
 */
export function passThroughSchema({ schema, ownKeys }: Service): JsonSchema {
  const whole: unknown = z.toJSONSchema(schema, { io: "input", unrepresentable: "any", target: "draft-7" });
  return (isSchema(whole) ? partial(whole, "", new Set(ownKeys)) : undefined) ?? {};
}

const KEPT = new Set([
  ...[
    "type",
    "description",
    "enum",
    "const",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "minLength",
    "maxLength",
  ],
  ...["minItems", "anyOf", "items", "properties", "required", "additionalProperties"],
]);

/** Undefined: nothing is left. */
function partial(node: JsonSchema, path: string, own: ReadonlySet<string>): JsonSchema | undefined {
  if (own.has(path) || node.writeOnly === true) return undefined;
  const { properties, required: _, ...rest } = node;
  const kept = Object.fromEntries(Object.entries(rest).filter(([keyword]) => KEPT.has(keyword)));
  if (properties === undefined) return hasSecret(node) ? undefined : cleaned({ ...node });
  const fields = Object.entries(properties).flatMap(([key, field]) => {
    const inner = partial(field, path === "" ? key : `${path}.${key}`, own);
    return inner === undefined ? [] : [[key, inner] as const];
  });
  if (fields.length === 0 && path !== "") return undefined;
  return { ...kept, additionalProperties: false, properties: Object.fromEntries(fields) };
}

/** Only the keywords that check or explain. */
function cleaned(node: JsonSchema): JsonSchema {
  return Object.fromEntries(
    Object.entries(node).flatMap(([keyword, value]) =>
      KEPT.has(keyword) ? [[keyword, cleanedValue(keyword, value)]] : [],
    ),
  );
}

function cleanedValue(keyword: string, value: unknown): unknown {
  if (keyword === "items") return isSchema(value) ? cleaned(value) : value;
  if (keyword === "anyOf" && Array.isArray(value)) return value.map((each) => (isSchema(each) ? cleaned(each) : each));
  if (keyword === "properties" && isSchema(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, isSchema(each) ? cleaned(each) : each]));
  }
  return value;
}

function hasSecret(node: unknown): boolean {
  if (Array.isArray(node)) return node.some(hasSecret);
  if (!isSchema(node)) return false;
  return node.writeOnly === true || Object.values(node).some(hasSecret);
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
