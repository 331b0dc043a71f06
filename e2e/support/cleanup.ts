import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";

const tasks: (() => unknown)[] = [];

afterAll(async () => {
  const failures: unknown[] = [];
  for (const task of tasks.splice(0).reverse()) {
    try {
      await task();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, "what the tests started could not be stopped");
});

/** Runs at the end of the file's tests, the last one first, whatever the outcome. */
export function atEnd(task: () => unknown): void {
  tasks.push(task);
}

/** A new folder that is removed at the end. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "culvert-e2e-"));
  atEnd(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
