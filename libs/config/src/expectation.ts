import { z } from "zod";

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** What a schema accepts, as the end of the sentence "must be ...". */
export function expectation(schema: z.core.$ZodType): string {
  return describeSchema(z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }));
}

const FORMATS: Readonly<Record<string, string>> = {
  ipv4: "an IPv4 address",
  ipv6: "an IPv6 address",
  uri: "a URL",
  hostname: "a host name",
};

const BY_TYPE: Readonly<Record<string, (json: JsonSchema) => string>> = {
  integer: (json) => range(json, "a whole number"),
  number: (json) => range(json, "a number"),
  boolean: () => "true or false",
  string: (json) => {
    if (json.format !== undefined && json.format in FORMATS) return FORMATS[json.format] ?? "text";
    if (json.minLength !== undefined && json.maxLength === undefined) {
      return json.minLength <= 1 ? "text, not empty" : `text of ${json.minLength} characters or more`;
    }
    if (json.maxLength !== undefined) return `text of ${json.minLength ?? 0} to ${json.maxLength} characters`;
    if (json.pattern !== undefined) return `text that matches /${json.pattern}/`;
    return "text";
  },
  array: (json) => {
    const least = json.minItems ?? 0;
    const most = json.maxItems;
    if (most !== undefined) return `a list of ${least} to ${most}`;
    return least > 0 ? `a list of at least ${least}` : "a list";
  },
  object: (json) => {
    const keys = Object.keys(json.properties ?? {});
    return keys.length === 0 ? "a mapping" : `a mapping with the keys ${keys.join(", ")}`;
  },
};

/** The same for a JSON schema. */
export function describeSchema(json: JsonSchema): string {
  if (json.const !== undefined) return JSON.stringify(json.const);
  if (json.enum !== undefined) return oneOf(json.enum.map(String));
  const options = json.anyOf ?? json.oneOf;
  if (options !== undefined) return [...new Set(options.map((option) => describeSchema(plain(option))))].join(" or ");
  const byType = typeof json.type === "string" ? BY_TYPE[json.type] : undefined;
  return byType?.(json) ?? "another value";
}

function plain(json: z.core.JSONSchema._JSONSchema): JsonSchema {
  return typeof json === "boolean" ? {} : json;
}

function oneOf(values: readonly string[]): string {
  return values.length === 1 ? String(values[0]) : `one of ${values.join(", ")}`;
}

function range(json: JsonSchema, otherwise: string): string {
  const min = bounded(json.minimum);
  const max = bounded(json.maximum);
  const above = json.exclusiveMinimum;
  if (above !== undefined) return max === undefined ? `more than ${above}` : `more than ${above}, up to ${max}`;
  if (min !== undefined && max !== undefined) return `${min} to ${max}`;
  if (min !== undefined) return `${min} or more`;
  if (max !== undefined) return `${max} or less`;
  return otherwise;
}

function bounded(limit: number | undefined): number | undefined {
  return limit === undefined || Math.abs(limit) >= Number.MAX_SAFE_INTEGER ? undefined : limit;
}
