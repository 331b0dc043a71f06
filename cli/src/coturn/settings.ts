import type { Line } from "./lines.ts";
import { COTURN_OPTIONS, type CoturnOption, type Fate } from "./options.ts";

/** What became of one line. */
export interface Finding {
  readonly line: Line;
  /** `bad`: coturn would not have used it either, or it cannot be read. */
  readonly fate: Fate | "bad";
  /** One sentence or more. */
  readonly text: string;
}

/** A key of the configuration, with the lines that it comes from. */
export interface Entry {
  /** The section first: `["relay", "realm"]`. */
  readonly path: readonly string[];
  readonly value: unknown;
  readonly lines: readonly Line[];
  readonly secret: boolean;
}

/** The option of that name; undefined for a name that is not coturn's. */
export function optionOf(name: string): CoturnOption | undefined {
  return Object.hasOwn(COTURN_OPTIONS, name) ? COTURN_OPTIONS[name] : undefined;
}

/** The line as it may be shown: without what is secret. */
export function shownLine({ name, value }: Line): string {
  if (value === "") return name;
  const option = optionOf(name);
  if (option !== undefined && !option.secret) return `${name}=${value}`;
  // The words of a line that is not coturn's may hold anything.
  return name === "user" ? `user=${value.split(":", 1)[0]}:(secret)` : `${name}=(secret)`;
}

const FALSE = /^([0nf]|off$)/i;
const TRUE = /^([1-9yt]|on$|$)/i;

/** What a file sets. Reading a setting takes its lines over, unless something else is noted of them. */
export class Settings {
  readonly #lines = new Map<string, Line[]>();
  readonly #findings = new Map<Line, Finding>();
  readonly #all: readonly Line[];
  readonly #entries: Entry[] = [];

  constructor(lines: readonly Line[]) {
    this.#all = lines;
    for (const line of lines) {
      const option = optionOf(line.name);
      if (option === undefined) {
        this.note("bad", [line], "is not an option of coturn's");
        continue;
      }
      const same = this.#lines.get(line.name) ?? [];
      if (!option.many) {
        for (const earlier of same.splice(0)) this.note("unneeded", [earlier], `Line ${line.number} sets it again.`);
      }
      this.#lines.set(line.name, [...same, line]);
    }
  }

  /** The lines of an option that count. */
  lines(...names: readonly string[]): readonly Line[] {
    return names.flatMap((name) => this.#lines.get(name) ?? []).filter((line) => !this.#findings.has(line));
  }

  /** The line of an option that stands once. */
  line(name: string): Line | undefined {
    return this.lines(name)[0];
  }

  text(name: string): string | undefined {
    const line = this.line(name);
    if (line?.value !== "") return line?.value;
    this.note("bad", [line], "needs a value");
    return undefined;
  }

  /** Whether a switch is on. A value that is neither on nor off ends coturn; here it is noted and the switch is off. */
  flag(name: string): boolean {
    const line = this.line(name);
    if (line === undefined) return false;
    if (TRUE.test(line.value)) return true;
    if (!FALSE.test(line.value)) this.note("bad", [line], "must be on or off");
    return false;
  }

  /** A whole number from `min` to `max`; what is outside is noted. */
  number(name: string, min: number, max: number): number | undefined {
    const line = this.line(name);
    if (line === undefined) return undefined;
    const value = Number(line.value);
    if (/^\d+$/.test(line.value) && value >= min && value <= max) return value;
    this.note("bad", [line], `must be ${min} to ${max}`);
    return undefined;
  }

  /** Says what became of lines, where that is not what the table of options says. */
  note(fate: Finding["fate"], lines: readonly (Line | undefined)[], text: string): void {
    for (const line of lines) if (line !== undefined) this.#findings.set(line, { line, fate, text });
  }

  /** Sets a key. */
  set(path: string, value: unknown, lines: readonly (Line | undefined)[], secret = false): void {
    const from = lines.filter((line) => line !== undefined);
    this.#entries.push({ path: path.split("."), value, lines: from, secret });
  }

  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /** One for each line of the file, in its order. */
  findings(): readonly Finding[] {
    const used = new Map<Line, Set<string>>();
    for (const { lines, path } of this.#entries) {
      for (const line of lines) used.set(line, (used.get(line) ?? new Set()).add(path.join(".")));
    }
    return this.#all.map((line) => {
      const keys = used.get(line);
      if (keys !== undefined) return { line, fate: "taken", text: [...keys].join(", ") };
      const noted = this.#findings.get(line);
      if (noted !== undefined) return noted;
      const { fate, note } = optionOf(line.name) ?? { fate: "none", note: "" };
      // What is taken over and sets no key is what is there by default.
      return fate === "taken" ? { line, fate: "unneeded", text: "It is so by default." } : { line, fate, text: note };
    });
  }
}
