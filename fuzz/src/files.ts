import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Holds `corpus`, which is committed, and `artifacts`, which are not. */
const HOME = fileURLToPath(new URL("..", import.meta.url));

export interface CorpusEntry {
  readonly name: string;
  readonly input: Uint8Array;
}

/** The committed inputs of a target, by name. Empty when it has none. */
export function readCorpus(target: string): readonly CorpusEntry[] {
  const folder = join(HOME, "corpus", target);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .toSorted()
    .map((name) => ({ name, input: new Uint8Array(readFileSync(join(folder, name))) }));
}

/** Writes an input under a name made of its content, and returns its path. */
export function writeInput(kind: "corpus" | "artifacts", target: string, input: Uint8Array): string {
  const folder = join(HOME, kind, target);
  mkdirSync(folder, { recursive: true });
  const path = join(folder, createHash("sha256").update(input).digest("hex").slice(0, 16));
  writeFileSync(path, input);
  return path;
}
