import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Figure } from "./measure.ts";
import { median, rounded, type Samples, spread } from "./samples.ts";

/** What a sample is of. */
export interface Spec {
  readonly name: string;
  readonly version: string;
}

/** One line of bench/out/latest.jsonl. */
export interface Line {
  readonly bench: string;
  readonly ours: number;
  /** Name and version. */
  readonly peer: string;
  readonly theirs: number;
  /** Ours over theirs. */
  readonly ratio: number;
  readonly unit: string;
  readonly oursSpread: readonly [number, number];
  readonly theirsSpread: readonly [number, number];
  readonly rounds: number;
  readonly note?: string;
}

/** Sets what the first server did beside what each of the others did. */
export function linesOf(figure: Figure, servers: readonly Spec[]): readonly Line[] {
  const [ours = [], ...theirs] = figure.samples;
  const [, ...peers] = servers;
  return peers.map((peer, index) => {
    const samples = theirs[index] ?? [];
    return {
      bench: figure.bench,
      ours: rounded(median(ours)),
      peer: `${peer.name} ${peer.version}`,
      theirs: rounded(median(samples)),
      ratio: rounded(median(ours) / median(samples)),
      unit: figure.unit,
      oursSpread: roundedSpread(ours),
      theirsSpread: roundedSpread(samples),
      rounds: ours.length,
      ...(figure.note !== undefined && { note: figure.note }),
    };
  });
}

function roundedSpread(samples: Samples): readonly [number, number] {
  const [low, high] = spread(samples);
  return [rounded(low), rounded(high)];
}

export class ResultFile {
  readonly #path: string;

  /** Empties the file, so that it holds this run only. */
  constructor(path: string) {
    this.#path = path;
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, "");
  }

  append(lines: readonly Line[]): void {
    for (const line of lines) appendFileSync(this.#path, `${JSON.stringify(line)}\n`);
  }
}

const HEADER = ["benchmark", "ours", "(range)", "theirs", "(range)", "ratio", "unit", "peer"];
const NUMERIC = new Set([1, 3, 5]);

/** A table for people, medians and ranges. */
export function table(lines: readonly Line[]): string {
  const rows = lines.map((line) => [
    line.bench,
    text(line.ours),
    range(line.oursSpread),
    text(line.theirs),
    range(line.theirsSpread),
    line.ratio.toFixed(2),
    line.note === undefined ? line.unit : `${line.unit}, ${line.note}`,
    line.peer,
  ]);
  const widths = HEADER.map((head, column) => Math.max(head.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const format = (row: readonly string[]): string =>
    row
      .map((cell, column) =>
        NUMERIC.has(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd();
  return [format(HEADER), ...rows.map(format)].join("\n");
}

function range([low, high]: readonly [number, number]): string {
  return `${text(low)}-${text(high)}`;
}

function text(value: number): string {
  return value >= 1000 ? Math.round(value).toLocaleString("en-US") : `${value}`;
}
