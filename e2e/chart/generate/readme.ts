import { parse } from "yaml";
import type { JsonSchema } from "./json-schema.ts";
import type { ValueComment } from "./values-comments.ts";

/** The tables of the README: one for each top-level key that holds others, and one for the rest. */
export function valueTables(yaml: string, comments: readonly ValueComment[], schema: JsonSchema): string {
  const values: unknown = parse(yaml);
  const rows = new Map<string, string[]>();
  for (const { path, comment } of comments) {
    if (comment === undefined) continue;
    const section = path.length > 1 ? (path[0] ?? "") : "";
    const cells = [`\`${path.join(".")}\``, typeOf(schema, path), defaultOf(values, path), comment];
    rows.set(section, [...(rows.get(section) ?? []), `| ${cells.map(escaped).join(" | ")} |`]);
  }
  return [...rows]
    .map(([section, lines]) =>
      [
        `### ${section === "" ? "General" : `\`${section}\``}`,
        "",
        "| key | type | default | |",
        "|---|---|---|---|",
        ...lines,
      ].join("\n"),
    )
    .join("\n\n");
}

const escaped = (cell: string): string => cell.replaceAll("|", "\\|").replaceAll("<", "&lt;");

function typeOf(schema: JsonSchema, path: readonly string[]): string {
  const node = path.reduce<JsonSchema | undefined>((at, key) => at?.properties?.[key], schema);
  if (node === undefined) throw new Error(`values.yaml: ${path.join(".")}: is not in the schema`);
  const { type, minimum, maximum, enum: choices } = node;
  if (choices !== undefined) return choices.join(", ");
  const name = [type].flat().join(" or ");
  if (type === "array") return "list";
  if (type === "object") return "mapping";
  if (minimum === undefined) return name === "string" ? "text" : name;
  return maximum === undefined ? `${name}, ${minimum} or more` : `${name}, ${minimum} to ${maximum}`;
}

function defaultOf(values: unknown, path: readonly string[]): string {
  const value = path.reduce<unknown>((at, key) => (isMapping(at) ? at[key] : undefined), values);
  const shown = JSON.stringify(value) ?? "null";
  return shown.length > 60 ? "see values.yaml" : `\`${shown}\``;
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
