/** What scripts answer, as what it is known to be. A reply of another shape is a bug, and throws. */

export function list(reply: unknown): readonly unknown[] {
  if (Array.isArray(reply)) return reply;
  throw new TypeError(`Redis answered ${typeof reply} in place of a list`);
}

export function text(reply: unknown): string {
  if (typeof reply === "string") return reply;
  throw new TypeError(`Redis answered ${typeof reply} in place of a text`);
}

export function integer(reply: unknown): number {
  const value = Number(reply);
  if (Number.isSafeInteger(value) && (typeof reply === "number" || typeof reply === "string")) return value;
  throw new TypeError(`Redis answered ${typeof reply} in place of a number`);
}

export function texts(reply: unknown): string[] {
  return list(reply).map(text);
}
