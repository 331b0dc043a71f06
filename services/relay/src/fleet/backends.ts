import { readNatsAccess, readRedisAccess } from "@culvert/config";
import { createNatsBus, createNatsUsageLog, type EventBus, type UsageLog } from "@culvert/events";
import { createRedisFleetStore, type FleetStore } from "@culvert/state";
import { createNatsMetrics, createRedisMetrics, type Logger, type Metrics } from "@culvert/telemetry";
import type { FleetConfig } from "./config.ts";

/** Where a fleet keeps what it shares. */
export interface FleetBackends {
  readonly store: FleetStore;
  readonly bus: EventBus | undefined;
  readonly usage: UsageLog | undefined;
}

export interface GivenBackends {
  readonly store?: FleetStore;
  readonly bus?: EventBus;
  readonly usage?: UsageLog;
}

/** Connects to Redis and NATS, unless something else is given in their place. Never fails for the network. */
export function openBackends(
  { redis, nats }: FleetConfig,
  given: GivenBackends,
  { name, logger, metrics }: { readonly name: string; readonly logger: Logger; readonly metrics: Metrics },
): FleetBackends {
  const { meter } = metrics;
  const store =
    given.store ??
    createRedisFleetStore({
      ...readRedisAccess("relay.fleet.redis", redis),
      logger,
      observer: createRedisMetrics(meter, "culvert_relay"),
    });
  if (given.bus !== undefined || nats === undefined) return { store, bus: given.bus, usage: given.usage };
  const observer = createNatsMetrics(meter, "culvert_relay");
  const bus = createNatsBus({ ...readNatsAccess("relay.fleet.nats", nats), name, observer });
  bus.onError((error, subject) => logger.warn({ err: error, subject }, "what came over NATS was not handled"));
  return { store, bus, usage: given.usage ?? createNatsUsageLog(bus) };
}
