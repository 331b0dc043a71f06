import type { DestinationStream } from "pino";

const HEAD_KEYS = new Set(["time", "level", "service", "msg"]);

/** Turns the logger's JSON lines into `12:30:01.250 info  relay: message key=value`. A line that is no JSON passes as it is. */
export function createPrettyStream(destination: DestinationStream): DestinationStream {
  return {
    write(line: string): void {
      destination.write(prettyLine(line));
    },
  };
}

function prettyLine(line: string): string {
  const entry = parseObject(line);
  if (entry === undefined) return line;
  const time = String(entry.time ?? "").slice(11, 23);
  const level = String(entry.level ?? "").padEnd(5);
  const rest = Object.entries(entry)
    .filter(([key]) => !HEAD_KEYS.has(key))
    .map(([key, value]) => ` ${key}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join("");
  return `${printable(`${time} ${level} ${String(entry.service ?? "")}: ${String(entry.msg ?? "")}${rest}`)}\n`;
}

/** What a peer calls itself must not end the line, nor move the cursor of a terminal. */
function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`,
  );
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
