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
  return `${time} ${level} ${String(entry.service ?? "")}: ${String(entry.msg ?? "")}${rest}\n`;
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
