/** One setting of a coturn configuration file. */
export interface Line {
  /** From 1. */
  readonly number: number;
  readonly name: string;
  /** Empty when there is none. */
  readonly value: string;
}

/**
 * The settings of a configuration file as coturn reads them: `name=value`, `name value` or `name`, one a line; a `#` begins a
 * comment at the start of a line only; quotes around the value go away; of a line, 1023 bytes count.
 */
export function readLines(text: string): readonly Line[] {
  return text.split("\n").flatMap((raw, index) => {
    const trimmed = raw.replace(/^[ \t]+/, "").trimEnd();
    if (trimmed === "" || trimmed.startsWith("#")) return [];
    const [, name = "", rest = ""] = /^([^ =\t]*)(.*)$/s.exec(trimmed) ?? [];
    return [{ number: index + 1, name, value: unquote(rest.replace(/^[ =\t]+/, "")) }];
  });
}

function unquote(value: string): string {
  return value.startsWith('"') ? value.slice(1).replace(/"$/, "") : value;
}
