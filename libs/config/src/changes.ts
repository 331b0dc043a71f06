/** The keys whose values differ between two configurations of one section, such as `auth.secrets`. Lists differ as a whole. */
export function changedKeys(before: unknown, after: unknown): readonly string[] {
  if (!isMapping(before) || !isMapping(after)) return same(before, after) ? [] : [""];
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].flatMap((key) =>
    changedKeys(before[key], after[key]).map((inner) => (inner === "" ? key : `${key}.${inner}`)),
  );
}

/** Whether a key is one of these, or within one of them. */
export function isWithin(key: string, keys: readonly string[]): boolean {
  return keys.some((outer) => key === outer || key.startsWith(`${outer}.`));
}

/**
 * A configuration with the values of some keys taken from another one of the same section, frozen as that is. Keys that are
 * absent there are absent in the result.
 */
export function withChanges<T extends object>(base: T, from: T, keys: readonly string[]): T {
  return merged(base, from, "", keys) as T;
}

/** What of a new configuration can be taken over while a service runs. */
export interface ConfigChange<T> {
  /** The old configuration with the changes that can. */
  readonly config: T;
  /** The keys of these. */
  readonly changed: readonly string[];
  /** Keys that have changed and stay as they were until the next start. */
  readonly fixed: readonly string[];
}

/** @param live the keys that may change while the service runs, with all that is within them */
export function planChange<T extends object>(before: T, next: T, live: readonly string[]): ConfigChange<T> {
  const keys = changedKeys(before, next);
  const changed = keys.filter((key) => isWithin(key, live));
  return {
    config: withChanges(before, next, changed),
    changed,
    fixed: keys.filter((key) => !changed.includes(key)),
  };
}

/** The part of a pino logger that is used here. */
export interface ReloadLogger {
  level: string;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** Says in one line each what was taken over, and what was not. Nothing has changed: nothing is said. */
export function tellChange(
  logger: ReloadLogger,
  section: string,
  { changed, fixed }: Pick<ConfigChange<unknown>, "changed" | "fixed">,
): void {
  const named = (keys: readonly string[]): readonly string[] => keys.map((key) => `${section}.${key}`);
  if (fixed.length > 0) logger.warn({ keys: named(fixed) }, "these keys have changed and count from the next start on");
  if (changed.length > 0) logger.info({ keys: named(changed) }, "configuration changed");
}

function merged(base: unknown, from: unknown, path: string, keys: readonly string[]): unknown {
  if (path !== "" && isWithin(path, keys)) return from;
  const leads = path === "" || keys.some((key) => key.startsWith(`${path}.`));
  if (!leads || !isMapping(base)) return base;
  const source = isMapping(from) ? from : {};
  const result: Record<string, unknown> = {};
  for (const key of new Set([...Object.keys(base), ...Object.keys(source)])) {
    const inner = path === "" ? key : `${path}.${key}`;
    const value = merged(base[key], source[key], inner, keys);
    if (value !== undefined) result[key] = value;
  }
  return Object.freeze(result);
}

function same(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
