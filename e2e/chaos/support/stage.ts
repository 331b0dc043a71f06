import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Everything that a fault's test has started, undone in reverse at the end. */
export class Stage {
  readonly #tasks: (() => unknown)[] = [];

  /** Runs at the end, the last one first, whatever the outcome. */
  atEnd(task: () => unknown): void {
    this.#tasks.push(task);
  }

  async folder(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), "culvert-chaos-"));
    this.atEnd(() => rm(folder, { recursive: true, force: true }));
    return folder;
  }

  async clear(): Promise<void> {
    const failures: unknown[] = [];
    for (const task of this.#tasks.splice(0).reverse()) {
      try {
        await task();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, "what was started could not be stopped");
  }
}
