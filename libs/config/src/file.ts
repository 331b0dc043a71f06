import { readFileSync } from "node:fs";
import { parseDocument } from "yaml";
import { ConfigError, showValue } from "./error.ts";
import { nearest } from "./nearest.ts";

/** The sections that a configuration file may have: one a service. */
export const SECTIONS: readonly string[] = ["relay", "stun", "credential", "signaling"];

/** Reads one section of a YAML file; a section that is not there is empty. Sections `x-...` are for YAML anchors. */
export function readSection(file: string, section: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
    throw new ConfigError(`--config: ${showValue(file)}: must name a readable file (${code})`);
  }
  const document = parseDocument(text, { merge: true });
  const [problem] = document.errors;
  if (problem !== undefined) {
    throw new ConfigError(`${file}: must be valid YAML: ${problem.message.split("\n", 1)[0]?.replace(/:$/, "")}`);
  }
  const root: unknown = document.toJS() ?? {};
  if (!isMapping(root)) throw new ConfigError(`${file}: must be a mapping with the sections ${SECTIONS.join(", ")}`);
  const known = new Set([...SECTIONS, section]);
  for (const key of Object.keys(root)) {
    if (known.has(key) || key.startsWith("x-")) continue;
    throw new ConfigError(
      `${showValue(key)}: unknown section in ${file}: the nearest known one is ${nearest(key, known)}`,
    );
  }
  const found = root[section] ?? {};
  if (!isMapping(found)) throw new ConfigError(`${section}: ${showValue(found)}: must be a mapping`);
  return found;
}

export function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
