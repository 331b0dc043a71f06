import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

const NAME = /^culvert-run-(\d+)-/;

/**
 * Gives this process and those that it starts a temporary folder of their own, which ends with it. What tests leave behind
 * when they kill processes, or are killed, is in it. Folders of runs that did not come to their end are removed.
 */
export function useRunFolder(): void {
  const parent = tmpdir();
  if (NAME.test(basename(parent))) return;
  for (const name of readdirSync(parent)) {
    const pid = Number(NAME.exec(name)?.[1] ?? Number.NaN);
    if (Number.isInteger(pid) && !isAlive(pid)) remove(join(parent, name));
  }
  const folder = mkdtempSync(join(parent, `culvert-run-${process.pid}-`));
  process.env.TMPDIR = folder;
  process.on("exit", () => remove(folder));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Another user's process lives, too.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

function remove(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  } catch {
    // Something writes there still, or it is another user's. The next run looks again.
  }
}
