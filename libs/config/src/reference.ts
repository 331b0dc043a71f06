import { z } from "zod";
import { describeSchema } from "./expectation.ts";

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** Every key of a section as a Markdown table: key, values, default, meaning, and coturn's option that does the same. */
export function configReference(section: string, schema: z.ZodType): string {
  const root = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  const rows = rowsOf(root, section).map((cells) => `| ${cells.map(escapeCell).join(" | ")} |`);
  return ["| key | values | default | meaning | coturn |", "|---|---|---|---|---|", ...rows].join("\n");
}

function rowsOf(json: JsonSchema, path: string): readonly (readonly string[])[] {
  const rows: (readonly string[])[] = [];
  for (const [key, property] of Object.entries(json.properties ?? {})) {
    if (typeof property === "boolean") continue;
    const inner = `${path}.${key}`;
    const required = json.required?.includes(key) === true;
    rows.push([
      code(inner),
      valuesOf(property),
      defaultOf(property, required),
      property.description ?? "",
      coturnOf(property),
    ]);
    rows.push(...rowsOf(property, inner));
    for (const item of itemsOf(property)) rows.push(...rowsOf(item, `${inner}[]`));
  }
  return rows;
}

/** What a list holds, of a union the alternatives. */
function itemsOf({ items }: JsonSchema): readonly JsonSchema[] {
  if (items === undefined || typeof items === "boolean" || Array.isArray(items)) return [];
  const options = items.anyOf ?? items.oneOf ?? [items];
  return options.filter((option): option is JsonSchema => typeof option !== "boolean");
}

function valuesOf(json: JsonSchema): string {
  if (json.properties !== undefined) return "mapping";
  const { pattern: _, ...plain } = json;
  return (json.writeOnly === true ? "secret: " : "") + describeSchema(plain);
}

function defaultOf(json: JsonSchema, required: boolean): string {
  if (json.properties !== undefined) return required ? "required" : "";
  if (json.default !== undefined) return code(JSON.stringify(json.default));
  return required ? "required" : "none";
}

function coturnOf(json: JsonSchema): string {
  const options: unknown = json.coturn;
  return Array.isArray(options) ? options.map((option) => code(String(option))).join(" ") : "";
}

function code(text: string): string {
  return `\`${text}\``;
}

function escapeCell(text: string): string {
  return text.replace(/\|/g, "\\|").replace(/</g, "&lt;").replace(/\n/g, " ");
}
