/** Lines with columns of one width. Numbers stand at the right of theirs. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: ReadonlySet<string> = new Set(),
): string {
  const widths = head.map((name, at) => Math.max(name.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => {
        const width = widths[at] ?? 0;
        return right.has(head[at] ?? "") ? cell.padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd();
  return `${[head, ...rows].map(line).join("\n")}\n`;
}

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"] as const;

/** `0 B`, `999 B`, `1.2 kB`, `340 MB`. */
export function size(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // What would round up to 1000 is one of the next unit.
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

const STEPS = [
  { name: "d", seconds: 86_400 },
  { name: "h", seconds: 3600 },
  { name: "m", seconds: 60 },
  { name: "s", seconds: 1 },
] as const;

/** `0s`, `59s`, `4m10s`, `3h5m`, `12d4h`: the two greatest units. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const first = STEPS.findIndex((step) => seconds >= step.seconds);
  const [big, small] = STEPS.slice(first < 0 ? STEPS.length - 1 : first);
  if (big === undefined) return "0s";
  const rest = seconds % big.seconds;
  const more = small === undefined ? 0 : Math.floor(rest / small.seconds);
  return `${Math.floor(seconds / big.seconds)}${big.name}${more > 0 && small !== undefined ? `${more}${small.name}` : ""}`;
}

/** Text from outside as a terminal may show it: without what would steer it. */
export function shown(text: string): string {
  return text === "" ? "-" : text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "\uFFFD");
}
