import { z } from "zod";
import { metaOf } from "./meta.ts";

/** A schema without its wrappers (optional, default, pipe...), with what configuration needs to know of it. */
export interface ConfigNode {
  readonly schema: z.core.$ZodType;
  /**
   * "text" takes an environment variable as it stands; "mixed" takes it as it stands unless it is YAML for a list or a
   * mapping; the others take it as YAML.
   */
  readonly kind: "object" | "list" | "text" | "mixed" | "value";
  /** Fields of an object. Empty otherwise. */
  readonly fields: ReadonlyMap<string, ConfigNode>;
  /** Keys outside of `fields` are refused. */
  readonly closed: boolean;
  readonly items: ConfigNode | undefined;
  /** The alternatives of a union. */
  readonly options: readonly ConfigNode[];
  /** This value or one inside of it must not be printed. */
  readonly secret: boolean;
  readonly coturn: readonly string[];
  readonly description: string | undefined;
}

export function configTree(schema: z.core.$ZodType, insideSecret = false): ConfigNode {
  const { inner, coturn, description, ...own } = unwrap(schema);
  const secret = own.secret || insideSecret;
  const base = { schema, secret, coturn, description, fields: new Map<string, ConfigNode>(), options: [] };
  if (inner instanceof z.core.$ZodObject) {
    const shape: Readonly<Record<string, z.core.$ZodType>> = inner._zod.def.shape;
    const fields = new Map(Object.entries(shape).map(([key, field]) => [key, configTree(field, secret)]));
    const catchall = inner._zod.def.catchall;
    const closed = catchall === undefined || catchall instanceof z.core.$ZodNever;
    const inside = [...fields.values()].some((field) => field.secret);
    return { ...base, kind: "object", fields, closed, items: undefined, secret: secret || inside };
  }
  if (inner instanceof z.core.$ZodArray) {
    const items = configTree(inner._zod.def.element, secret);
    return { ...base, kind: "list", closed: false, items, secret: secret || items.secret };
  }
  if (inner instanceof z.core.$ZodUnion) {
    const options = inner._zod.def.options.map((option) => configTree(option, secret));
    const kind = options.some((option) => option.kind === "text") ? "mixed" : "value";
    const inside = options.some((option) => option.secret);
    return { ...base, kind, closed: false, items: undefined, options, secret: secret || inside };
  }
  return { ...base, kind: isText(inner) ? "text" : "value", closed: false, items: undefined };
}

function unwrap(schema: z.core.$ZodType) {
  let inner = schema;
  let { secret, coturn, description } = metaOf(inner);
  for (let next = wrapped(inner); next !== undefined; next = wrapped(inner)) {
    inner = next;
    const meta = metaOf(inner);
    secret ||= meta.secret;
    if (coturn.length === 0) coturn = meta.coturn;
    description ??= meta.description;
  }
  return { inner, secret, coturn, description };
}

/** The schema that sees the input first. */
function wrapped(schema: z.core.$ZodType): z.core.$ZodType | undefined {
  if (schema instanceof z.core.$ZodPipe) {
    const { in: input, out } = schema._zod.def;
    return input instanceof z.core.$ZodTransform ? out : input;
  }
  if (
    schema instanceof z.core.$ZodOptional ||
    schema instanceof z.core.$ZodExactOptional ||
    schema instanceof z.core.$ZodNullable ||
    schema instanceof z.core.$ZodDefault ||
    schema instanceof z.core.$ZodPrefault ||
    schema instanceof z.core.$ZodReadonly ||
    schema instanceof z.core.$ZodNonOptional ||
    schema instanceof z.core.$ZodCatch
  ) {
    return schema._zod.def.innerType;
  }
  return undefined;
}

function isText(schema: z.core.$ZodType): boolean {
  if (schema instanceof z.core.$ZodString || schema instanceof z.core.$ZodTemplateLiteral) return true;
  if (schema instanceof z.core.$ZodEnum)
    return Object.values(schema._zod.def.entries).every((v) => typeof v === "string");
  return schema instanceof z.core.$ZodLiteral && schema._zod.def.values.every((value) => typeof value === "string");
}

/** The node a path of a parsed value leads to; undefined where the schema does not tell. */
export function nodeAt(root: ConfigNode, path: readonly PropertyKey[]): ConfigNode | undefined {
  let node: ConfigNode | undefined = root;
  for (const key of path) {
    if (node === undefined) return undefined;
    node = step(node, key);
  }
  return node;
}

function step(node: ConfigNode, key: PropertyKey): ConfigNode | undefined {
  if (typeof key === "number") return node.items ?? firstDefined(node.options.map((option) => step(option, key)));
  return node.fields.get(String(key)) ?? firstDefined(node.options.map((option) => step(option, key)));
}

function firstDefined<T>(values: readonly (T | undefined)[]): T | undefined {
  return values.find((value) => value !== undefined);
}
