import { readFileSync } from "node:fs";
import { parseDocument } from "yaml";
import { ConfigError, showValue } from "./error.ts";
import { nearest } from "./nearest.ts";
import type { ConfigNode } from "./tree.ts";

export interface Variable {
  readonly name: string;
  readonly path: readonly string[];
  readonly node: ConfigNode;
}

/** `["relay", "maxBps"]` is `CULVERT_RELAY_MAX_BPS`. */
export function variableName(section: string, path: readonly string[]): string {
  return ["CULVERT", section, ...path]
    .map((part) => part.replace(/([a-z\d])([A-Z])/g, "$1_$2").toUpperCase())
    .join("_");
}

/** Every key of a section that has an environment variable, outer keys before inner ones. */
export function variables(section: string, root: ConfigNode): readonly Variable[] {
  const found: Variable[] = [];
  const visit = (node: ConfigNode, path: readonly string[]): void => {
    for (const [key, field] of node.fields) {
      const inner = [...path, key];
      found.push({ name: variableName(section, inner), path: inner, node: field });
      visit(field, inner);
    }
  };
  visit(root, []);
  return found;
}

/** The files that secrets of a section are read from: what the variables with `_FILE` name. */
export function secretFiles(section: string, root: ConfigNode, env: NodeJS.ProcessEnv): readonly string[] {
  return variables(section, root).flatMap(({ name, node }) => (node.secret ? env[`${name}_FILE`] || [] : []));
}

/** Reads the variables of a section. The result has the shape of the section in a file. */
export function readEnvironment(section: string, root: ConfigNode, env: NodeJS.ProcessEnv): Record<string, unknown> {
  const known = variables(section, root);
  const names = new Set(known.map((variable) => variable.name));
  const fileNames = new Map(
    known
      .filter((variable) => variable.node.secret && !names.has(`${variable.name}_FILE`))
      .map((variable) => [`${variable.name}_FILE`, variable.name]),
  );
  refuseUnknown(section, env, names, fileNames);

  const result: Record<string, unknown> = {};
  for (const variable of known) {
    const text = variableText(variable, env, fileNames.has(`${variable.name}_FILE`));
    if (text !== undefined) assign(result, variable.path, parseText(section, variable, text));
  }
  return result;
}

function refuseUnknown(
  section: string,
  env: NodeJS.ProcessEnv,
  names: ReadonlySet<string>,
  fileNames: ReadonlyMap<string, string>,
): void {
  const prefix = `${variableName(section, [])}_`;
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith(prefix) || names.has(name) || fileNames.has(name)) continue;
    if (value === undefined || isServiceLink(name, value)) continue;
    throw new ConfigError(`${name}: unknown variable: the nearest known one is ${nearest(name, names)}`);
  }
}

const SERVICE_LINK = /_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/;

/** Kubernetes sets such variables for every Service in the namespace; one named `culvert-relay` would look like ours. */
function isServiceLink(name: string, value: string): boolean {
  return SERVICE_LINK.test(name) || (name.endsWith("_PORT") && /^(tcp|udp|sctp):\/\//.test(value));
}

/** An empty variable counts as not set. */
function variableText({ name }: Variable, env: NodeJS.ProcessEnv, mayBeFile: boolean): string | undefined {
  const text = env[name];
  const direct = text === undefined || text === "" || isServiceLink(name, text) ? undefined : text;
  const file = mayBeFile ? env[`${name}_FILE`] : undefined;
  if (file === undefined || file === "") return direct;
  if (direct !== undefined)
    throw new ConfigError(`${name}: set together with ${name}_FILE: only one of the two may be set`);
  try {
    return readFileSync(file, "utf8").replace(/\r?\n$/, "");
  } catch (error) {
    throw new ConfigError(`${name}_FILE: ${showValue(file)}: must name a readable file (${errorCode(error)})`);
  }
}

function parseText(section: string, { name, path, node }: Variable, text: string): unknown {
  if (node.kind === "text") return text;
  const document = parseDocument(text);
  if (document.errors.length > 0) {
    if (node.kind === "mixed") return text;
    const shown = node.secret ? "(secret)" : showValue(text);
    throw new ConfigError(`${[section, ...path].join(".")}: ${shown}: must be valid YAML (${name})`);
  }
  const value: unknown = document.toJS();
  if (typeof value === "object" && value !== null) return value;
  if (node.kind === "mixed") return text;
  if (node.kind === "list") return text.split(",").map((item) => item.trim());
  return value;
}

function assign(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [key, ...rest] = path;
  if (key === undefined) return;
  if (rest.length === 0) {
    target[key] = value;
    return;
  }
  const existing = target[key];
  const inner: Record<string, unknown> = typeof existing === "object" && existing !== null ? { ...existing } : {};
  assign(inner, rest, value);
  target[key] = inner;
}

function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unreadable";
}
