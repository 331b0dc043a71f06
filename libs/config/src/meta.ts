import { z } from "zod";

/**
 * Marks a value that is never printed. It may come from a file, named by its environment variable with `_FILE` behind.
 * In the JSON schema it is `writeOnly`.
 */
export function secret<S extends z.ZodType>(schema: S): S {
  return schema.meta({ writeOnly: true });
}

/** Notes the option of coturn that means the same. It is in the JSON schema and in the answer to an unknown key. */
export function coturn<S extends z.ZodType>(schema: S, ...options: readonly string[]): S {
  return schema.meta({ coturn: options });
}

export interface Meta {
  readonly secret: boolean;
  readonly coturn: readonly string[];
  readonly description: string | undefined;
}

/** What is noted on one schema, its wrappers not looked at. */
export function metaOf(schema: z.core.$ZodType): Meta {
  const meta: Record<string, unknown> = { ...z.globalRegistry.get(schema) };
  const options = meta.coturn;
  return {
    secret: meta.writeOnly === true,
    coturn: Array.isArray(options) ? options.map(String) : [],
    description: typeof meta.description === "string" ? meta.description : undefined,
  };
}
