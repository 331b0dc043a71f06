import { readNatsAccess, readRedisAccess } from "@culvert/config";
import { createNatsBus, createNatsUsageLog, type EventBus, tracedBus, type UsageLog } from "@culvert/events";
import { createRedisFleetStore, type FleetStore } from "@culvert/state";
import {
  createNatsMetrics,
  createRedisMetrics,
  type Logger,
  type Metrics,
  type ServiceTracing,
} from "@culvert/telemetry";
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
  {
    name,
    logger,
    metrics,
    tracing,
  }: {
    readonly name: string;
    readonly logger: Logger;
    readonly metrics: Metrics;
    readonly tracing: ServiceTracing;
  },
): FleetBackends {
  const { meter } = metrics;
  const store =
    given.store ??
    createRedisFleetStore({
      ...readRedisAccess("relay.fleet.redis", redis),
      logger,
      observer: createRedisMetrics(meter, "culvert_relay"),
    });
  const traced = (plain: EventBus): EventBus => (tracing.configured ? tracedBus(plain, tracing) : plain);
  if (given.bus !== undefined) return { store, bus: traced(given.bus), usage: given.usage };
  if (nats === undefined) return { store, bus: undefined, usage: given.usage };
  const observer = createNatsMetrics(meter, "culvert_relay");
  const bus = createNatsBus({ ...readNatsAccess("relay.fleet.nats", nats), name, observer });
  bus.onError((error, subject) => logger.warn({ err: error, subject }, "what came over NATS was not handled"));
  return { store, bus: traced(bus), usage: given.usage ?? createNatsUsageLog(bus) };
}
