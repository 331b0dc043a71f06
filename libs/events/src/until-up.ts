import type { EventBus } from "./port.ts";

/** Resolves when the bus is up, or after `timeoutMs` all the same. Says whether it is. */
export async function untilUp(bus: Pick<EventBus, "health" | "onHealthChange">, timeoutMs: number): Promise<boolean> {
  if (bus.health().up) return true;
  return await new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      stop();
      resolve(bus.health().up);
    };
    const timer = setTimeout(done, timeoutMs);
    const stop = bus.onHealthChange(done);
  });
}
