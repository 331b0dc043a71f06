/** The part of JSON Schema (draft 7) that the chart uses. */
export interface JsonSchema {
  readonly [keyword: string]: unknown;
  readonly type?: string | readonly string[] | undefined;
  readonly properties?: Readonly<Record<string, JsonSchema>> | undefined;
  readonly items?: JsonSchema | undefined;
  readonly enum?: readonly unknown[] | undefined;
}

type Fields = Readonly<Record<string, JsonSchema>>;

export const text: JsonSchema = { type: "string" };
export const texts: JsonSchema = { type: "array", items: text };
export const flag: JsonSchema = { type: "boolean" };
export const oneOf = (...values: readonly string[]): JsonSchema => ({ type: "string", enum: values });
export const matching = (pattern: string): JsonSchema => ({ type: "string", pattern });
export const whole = (minimum: number, maximum?: number): JsonSchema => ({
  type: "integer",
  minimum,
  ...(maximum === undefined ? {} : { maximum }),
});
export const port: JsonSchema = whole(1, 65_535);
export const orNull = (schema: JsonSchema): JsonSchema => ({ ...schema, type: [String(schema.type), "null"] });

/** Exactly these keys. */
export const closed = (properties: Fields): JsonSchema => ({ type: "object", additionalProperties: false, properties });
/** Any keys, with texts. */
export const textMap: JsonSchema = { type: "object", additionalProperties: text };
/** What Kubernetes checks itself. */
export const kubernetesObject: JsonSchema = { type: "object" };
export const kubernetesList: JsonSchema = { type: "array", items: kubernetesObject };

/** Refuses values of which the first part is true and the second is not. */
export function implies(when: Fields, rule: Fields): JsonSchema {
  return { if: { not: having(when) }, else: { properties: rule } };
}

/** A condition on keys of a mapping, all of which must be there. */
export const having = (fields: Fields): JsonSchema => ({ properties: fields, required: Object.keys(fields) });
export const only = (value: string | boolean): JsonSchema => ({ const: value });
