import { stdSerializers } from "pino";

/** Keys whose values never reach a log line, at any of the first five levels of a logged object. */
export const REDACTED_KEYS: readonly string[] = [
  "username",
  "password",
  "credential",
  "credentials",
  "token",
  "accessToken",
  "secret",
  "secrets",
  "authorization",
  "cookie",
  "nonceKeys",
];

const HIDDEN: ReadonlySet<string> = new Set(REDACTED_KEYS);
const LEVELS = 5;
const CENSOR = "[redacted]";

/** What is logged with the values of {@link REDACTED_KEYS} hidden, and errors as objects. What holds neither stays as it is. */
export function hideSecrets(logged: Record<string, unknown>): Record<string, unknown> {
  return hideIn(logged, LEVELS);
}

function hideIn(object: Record<string, unknown>, levels: number): Record<string, unknown> {
  let copy: Record<string, unknown> | undefined;
  for (const key of Object.keys(object)) {
    const value = object[key];
    const shown = HIDDEN.has(key) && value !== undefined ? CENSOR : hide(value, levels - 1);
    if (shown === value) continue;
    copy ??= { ...object };
    copy[key] = shown;
  }
  return copy ?? object;
}

function hide(value: unknown, levels: number): unknown {
  if (!isObject(value)) return value;
  if (value instanceof Error) return hideIn({ ...stdSerializers.err(value) }, levels);
  if (levels === 0) return value;
  if (Array.isArray(value)) return hideList(value, levels);
  // Some say themselves what they are in a log.
  return "toJSON" in value || ArrayBuffer.isView(value) ? value : hideIn(value, levels);
}

function hideList(list: readonly unknown[], levels: number): readonly unknown[] {
  const shown = list.map((value) => hide(value, levels - 1));
  return shown.some((value, index) => value !== list[index]) ? shown : list;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
