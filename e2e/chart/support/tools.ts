import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const REPOSITORY: string = fileURLToPath(new URL("../../../", import.meta.url));

const FOLDER = execFileSync(join(REPOSITORY, "scripts/kube-tools"), ["--dir"], { encoding: "utf8" }).trim();

/** A program that `scripts/kube-tools` got. */
export function tool(name: string): string {
  const path = join(FOLDER, name);
  if (existsSync(path)) return path;
  throw new Error(`${path} is missing: scripts/kube-tools ${name} gets it (make chart-test does)`);
}
