import { toWatchKeysResponse, WatchKeysResponse } from "@culvert/contracts";
import type { Revocation } from "@culvert/credentials";
import { type EventBus, subjectToken } from "@culvert/events";
import type { Logger } from "@culvert/telemetry";

/** `culvert.credential.revoked.<tenant>`: a `WatchKeysResponse` with the revocation and without a revision. */
export function publishRevocation(bus: EventBus | undefined, revocation: Revocation, logger: Logger): void {
  if (bus === undefined) return;
  const message = toWatchKeysResponse({ revision: 0n, change: { type: "revoked", revocation } });
  try {
    bus.publish(
      `culvert.credential.revoked.${subjectToken(revocation.tenant)}`,
      WatchKeysResponse.encode(message).finish(),
    );
  } catch (error) {
    logger.warn({ err: error }, "a revocation was not published; the key feed tells it");
  }
}
