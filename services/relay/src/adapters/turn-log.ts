import type { Clock } from "@culvert/dataplane";
import { createAddressHasher, type Logger } from "@culvert/telemetry";
import type { TurnEvent } from "@culvert/turn";
import { methodName } from "./turn-metrics.ts";

interface Line {
  readonly level: "info" | "warn";
  readonly message: string;
  /** Made only for what is written: hashing addresses costs more than all else here. */
  readonly fields: () => Readonly<Record<string, unknown>>;
  /** Anybody can cause it, any number of times. */
  readonly limited: boolean;
}

/** How users and addresses stand in the log. */
export interface Anonymiser {
  readonly ip: (text: string) => string;
  readonly user: (text: string) => string;
}

/** Hashes are made with a key that is told to nobody. */
export function anonymiser(mode: "hashed" | "plain", key: Uint8Array): Anonymiser {
  const plain = (text: string): string => text;
  if (mode === "plain") return { ip: plain, user: plain };
  return { ip: createAddressHasher(key), user: createAddressHasher(key, "user") };
}

const LIMITED_LINES_PER_SECOND = 20;

/** Writes what happened to allocations. Requests and drops are counted, not logged. */
export function createTurnLog(logger: Logger, show: Anonymiser, clock: Clock): (event: TurnEvent) => void {
  let windowStart = 0;
  let written = 0;
  let suppressed = 0;
  const mayWrite = (): boolean => {
    const now = clock();
    if (now - windowStart >= 1000) {
      if (suppressed > 0) logger.warn({ lines: suppressed }, "log lines were left out");
      windowStart = now;
      written = 0;
      suppressed = 0;
    }
    if (written >= LIMITED_LINES_PER_SECOND) {
      suppressed += 1;
      return false;
    }
    written += 1;
    return true;
  };
  return (event) => {
    const line = describe(event, show);
    if (line === undefined || !logger.isLevelEnabled(line.level)) return;
    if (!line.limited || mayWrite()) logger[line.level](line.fields(), line.message);
  };
}

function describe(event: TurnEvent, show: Anonymiser): Line | undefined {
  switch (event.name) {
    case "allocation-created": {
      const { allocation, tenant, transport, lifetimeSeconds, kid } = event;
      return info("allocation created", () => ({
        allocation,
        tenant,
        kid,
        transport,
        lifetimeSeconds,
        user: show.user(event.user),
        client: show.ip(event.client.remote.ip),
      }));
    }
    case "allocation-restored":
      // Thousands at once; the slots that they are in are logged.
      return undefined;
    case "allocation-moved": {
      const { allocation, tenant } = event;
      return info("allocation moved", () => ({ allocation, tenant, client: show.ip(event.client.remote.ip) }));
    }
    case "restore-failed": {
      const { reason } = event;
      return { ...info("allocation not restored", () => ({ reason })), level: "warn", limited: true };
    }
    case "allocation-deleted": {
      const { allocation, tenant, reason } = event;
      return info("allocation deleted", () => ({ allocation, tenant, reason }));
    }
    case "permission-revoked": {
      const { allocation, tenant } = event;
      return info("permission revoked", () => ({ allocation, tenant, peer: show.ip(event.ip) }));
    }
    case "auth-failed": {
      const { code, reason, detail, tenant } = event;
      // The first two messages of every client fail so; they tell nothing.
      if (reason === "no-integrity" || reason === "stale-nonce") return undefined;
      return {
        ...info("request not authenticated", () => ({
          code,
          reason,
          detail,
          tenant,
          client: show.ip(event.client.remote.ip),
        })),
        limited: true,
      };
    }
    case "peer-denied": {
      const { tenant, rule, method } = event;
      return {
        ...info("peer denied", () => ({
          tenant,
          user: show.user(event.user),
          method: methodName(method),
          rule,
          peer: show.ip(event.ip),
        })),
        limited: true,
      };
    }
    case "bind-failed":
      return {
        ...info("relay socket could not be opened", () => ({ reason: event.reason })),
        level: "warn",
        limited: true,
      };
    default:
      return undefined;
  }
}

function info(message: string, fields: Line["fields"]): Line {
  return { level: "info", message, fields, limited: false };
}
