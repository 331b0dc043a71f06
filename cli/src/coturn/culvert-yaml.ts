import { variableName } from "@culvert/config";
import { yamlDocument } from "./document.ts";
import { header, sources } from "./report.ts";
import type { Entry, Finding } from "./settings.ts";
import type { Translation } from "./translate.ts";

export interface Output {
  /** One for each setting. */
  readonly findings: readonly Finding[];
  /** The configuration, or the values. */
  readonly main: string;
  /** What is secret, where it does not stand in `main`; undefined when there is nothing. */
  readonly secrets: string | undefined;
}

/**
 * A configuration file for `culvert relay`, or `culvert stun`. With `apart`, secrets are variables for the environment, in a form
 * that shells, systemd (EnvironmentFile) and Compose (env_file) read alike.
 */
export function culvertYaml({ entries, findings }: Translation, file: string, apart: boolean): Output {
  const inside = entries.filter(({ secret }) => !(secret && apart));
  const outside = entries.filter(({ secret }) => secret && apart);
  const note = outside.length === 0 ? [] : [`Secrets are apart, as variables: ${outside.map(nameOf).join(", ")}.`, ""];
  const main = yamlDocument(
    [...header(findings, file), ...note],
    inside.map((entry) => ({ path: entry.path, value: entry.value, comments: sources(entry, file) })),
  );
  return { findings, main, secrets: outside.length === 0 ? undefined : outside.map(variable).join("") };
}

function nameOf({ path: [section = "", ...keys] }: Entry): string {
  return variableName(section, keys);
}

/** JSON is YAML, and holds no single quote once those are escaped. */
function variable(entry: Entry): string {
  return `${nameOf(entry)}='${JSON.stringify(entry.value).replaceAll("'", "\\u0027")}'\n`;
}
