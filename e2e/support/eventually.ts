import { setTimeout as sleep } from "node:timers/promises";

const INTERVAL_MS = 50;
/** For what never comes. What comes late, on a busy machine, has come. */
const PATIENCE_MS = 60_000;

/** Thrown by an attempt: no further one can succeed. */
export class Hopeless extends Error {}

/** Calls `attempt` until it neither throws nor returns undefined. After `timeoutMs` the last failure is thrown. */
export async function eventually<T>(
  what: string,
  attempt: () => T | undefined | Promise<T | undefined>,
  timeoutMs = PATIENCE_MS,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  let last: unknown = "there was no result";
  while (performance.now() < end) {
    try {
      const result = await attempt();
      if (result !== undefined) return result;
    } catch (error) {
      if (error instanceof Hopeless) throw error;
      last = error;
    }
    await sleep(INTERVAL_MS);
  }
  throw new Error(`${what}: not within ${timeoutMs} ms: ${last instanceof Error ? last.message : String(last)}`);
}
