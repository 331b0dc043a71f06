import { publishRevocationHint } from "@culvert/contracts";
import type { Revocation } from "@culvert/credentials";
import type { EventBus } from "@culvert/events";
import type { Logger } from "@culvert/telemetry";

/** Tells verifiers at once; the key feed tells them in any case. */
export function publishRevocation(bus: EventBus | undefined, revocation: Revocation, logger: Logger): void {
  if (bus === undefined) return;
  try {
    publishRevocationHint(bus, revocation);
  } catch (error) {
    logger.warn({ err: error }, "a revocation was not published; the key feed tells it");
  }
}
