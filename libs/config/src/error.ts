/** What an operator wrote cannot be used. `message` is one line: the key, the value, what would be right. */
export class ConfigError extends Error {
  override readonly name: string = "ConfigError";
}

const MAX_VALUE_LENGTH = 80;

/** A value as it stands in an error line: short, and without line breaks. */
export function showValue(value: unknown): string {
  if (value === undefined) return "missing";
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? String(value));
  const plain = text !== "" && /^[\x21-\x7e]+( [\x21-\x7e]+)*$/.test(text) ? text : JSON.stringify(text);
  return plain.length > MAX_VALUE_LENGTH ? `${plain.slice(0, MAX_VALUE_LENGTH)}…` : plain;
}
