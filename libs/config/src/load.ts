import { z } from "zod";
import { readEnvironment } from "./environment.ts";
import { ConfigError } from "./error.ts";
import { isMapping, readSection } from "./file.ts";
import { describeIssue, describeUnknownKey, NO_MESSAGE } from "./problem.ts";
import { type ConfigNode, configTree } from "./tree.ts";

export interface LoadOptions {
  /** The section of the file, and of the variables' names. */
  readonly section: string;
  readonly env: NodeJS.ProcessEnv;
  /** Stand below the file: what a composing process would have instead of the schema's defaults. Same shape as the section. */
  readonly defaults?: Readonly<Record<string, unknown>>;
  /** A YAML file with one section a service. */
  readonly file?: string;
  /** Set last: command line options, or what a composing process decides. Same shape as the section. */
  readonly overrides?: Readonly<Record<string, unknown>>;
}

/**
 * The configuration of one service: the schema's defaults, then the caller's, then the file, then `CULVERT_<SECTION>_<KEY>` variables, then
 * overrides. Mappings merge, lists replace. The result is frozen all the way down.
 *
 * Throws a {@link ConfigError} of one line for the first thing that is wrong.
 */
export function loadConfig<T>(schema: z.ZodType<T>, options: LoadOptions): Readonly<T> {
  const { section } = options;
  const root = configTree(schema);
  const layers = [
    options.defaults ?? {},
    options.file === undefined ? {} : readSection(options.file, section),
    readEnvironment(section, root, options.env),
    options.overrides ?? {},
  ];
  const input = layers.reduce<Record<string, unknown>>(merge, {});
  refuseUnknownKeys(section, root, root, input, []);
  const result = schema.safeParse(input, { error: () => NO_MESSAGE, reportInput: true });
  if (result.success) return deepFreeze(result.data);
  const [issue] = result.error.issues;
  throw new ConfigError(issue === undefined ? `${section}: not valid` : describeIssue(section, root, input, issue));
}

/** The JSON schema of a section, with the description of every key. */
export function configSchema(schema: z.ZodType): Record<string, unknown> {
  return { ...z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) };
}

function merge(base: Record<string, unknown>, over: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    if (value === undefined || value === null) continue;
    const existing = Object.hasOwn(result, key) ? result[key] : undefined;
    result[key] = isMapping(existing) && isMapping(value) ? merge(existing, value) : value;
  }
  return result;
}

/** Strict for every object of the schema, whether it was declared strict or not. */
function refuseUnknownKeys(
  section: string,
  root: ConfigNode,
  node: ConfigNode,
  value: unknown,
  path: readonly PropertyKey[],
): void {
  if (node.items !== undefined && Array.isArray(value)) {
    for (const [index, item] of value.entries()) refuseUnknownKeys(section, root, node.items, item, [...path, index]);
  }
  if (node.kind !== "object" || !isMapping(value)) return;
  for (const [key, inner] of Object.entries(value)) {
    const field = node.fields.get(key);
    if (field !== undefined) refuseUnknownKeys(section, root, field, inner, [...path, key]);
    else if (node.closed) throw new ConfigError(describeUnknownKey(section, root, path, key));
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value) || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const inner of Object.values(value)) deepFreeze(inner);
  return value;
}
