import type { z } from "zod";
import { variableName } from "./environment.ts";
import { showValue } from "./error.ts";
import { expectation } from "./expectation.ts";
import { nearest, normalise } from "./nearest.ts";
import { type ConfigNode, nodeAt } from "./tree.ts";

/** The message of an issue for which the schema has no words of its own. */
export const NO_MESSAGE = "\u0000";

/** One line for what zod found: `relay.ports.min: 70000: must be 1 to 65535 (CULVERT_RELAY_PORTS_MIN)`. */
export function describeIssue(section: string, root: ConfigNode, input: unknown, found: z.core.$ZodIssue): string {
  const issue = narrow(found);
  if (issue.code === "unrecognized_keys") {
    return describeUnknownKey(section, root, issue.path, issue.keys[0] ?? "");
  }
  const node = nodeAt(root, issue.path);
  const value = valueAt(input, issue.path) ?? defaulted(issue);
  const hidden = value !== undefined && isSecret(root, issue.path);
  const shown = hidden ? "(secret)" : showValue(value);
  const wanted = issue.message === NO_MESSAGE ? `must be ${expectation(node?.schema ?? root.schema)}` : issue.message;
  return `${pathText(section, issue.path)}: ${shown}: ${wanted}${variableHint(section, root, issue.path)}`;
}

export function describeUnknownKey(
  section: string,
  root: ConfigNode,
  path: readonly PropertyKey[],
  key: string,
): string {
  const text = pathText(section, [...path, key]);
  const wanted = coturnKey(section, root, key) ?? nearest(key, nodeAt(root, path)?.fields.keys() ?? []);
  return wanted === undefined ? `${text}: unknown key` : `${text}: unknown key: the nearest known one is ${wanted}`;
}

/** The key that does what coturn's option of this name does. */
function coturnKey(section: string, root: ConfigNode, option: string): string | undefined {
  const search = (node: ConfigNode, path: readonly string[]): string | undefined => {
    for (const [key, field] of node.fields) {
      const inner = [...path, key];
      const found = field.coturn.some((name) => normalise(name) === normalise(option))
        ? inner.join(".")
        : search(field, inner);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return search(root, [section]);
}

/** Of the alternatives of a union, the one that the value was meant for tells what is wrong. */
function narrow(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== "invalid_union") return issue;
  const meant = issue.errors.filter((errors) =>
    errors.every(({ code, path }) => code !== "invalid_type" || path.length > 0),
  );
  const inner = meant.length === 1 ? meant[0]?.[0] : undefined;
  return inner === undefined ? issue : narrow({ ...inner, path: [...issue.path, ...inner.path] });
}

/** What stood at the path although the operator did not write it. Checks over several keys tell the value around it. */
function defaulted({ input, path }: z.core.$ZodIssue): unknown {
  const key = path.at(-1);
  return typeof input === "object" && input !== null && key !== undefined ? Reflect.get(input, key) : input;
}

function isSecret(root: ConfigNode, path: readonly PropertyKey[]): boolean {
  const leaf = nodeAt(root, path);
  // An object with a secret inside is no secret itself, yet its value would print it.
  return leaf === undefined || leaf.secret;
}

function pathText(section: string, path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, key) => (typeof key === "number" ? `${text}[${key}]` : `${text}.${String(key)}`),
    section,
  );
}

/** Names the variable of the innermost key that has one: a list is one variable. */
function variableHint(section: string, root: ConfigNode, path: readonly PropertyKey[]): string {
  const keys: string[] = [];
  let node: ConfigNode | undefined = root;
  for (const key of path) {
    node = node?.fields.get(String(key));
    if (node === undefined) break;
    keys.push(String(key));
  }
  return keys.length === 0 ? "" : ` (${variableName(section, keys)})`;
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input;
  for (const key of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}
