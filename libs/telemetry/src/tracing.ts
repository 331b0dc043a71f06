import type { TelemetryAccess } from "@culvert/config";
import { NOT_TRACED, type Tracing } from "@culvert/tracing";
import type { Tracer } from "@opentelemetry/api";
import { ExportLog } from "./export-log.ts";
import type { Logger } from "./logger.ts";
import { atMost, SHUTDOWN_MS } from "./patience.ts";

/** Tracing of one service. */
export interface ServiceTracing extends Tracing {
  /** Whether {@link start} will bring a tracer. */
  readonly configured: boolean;
  /** Loads the SDK, if anything is to be traced. Never rejects: a service without traces serves all the same. */
  start(): Promise<void>;
  /** Exports what is left, for 2 s at most. */
  shutdown(): Promise<void>;
}

export interface TracingOptions {
  /** `service.name`, unless OTEL_SERVICE_NAME names another. */
  readonly service: string;
  readonly access: TelemetryAccess;
  readonly logger: Logger;
}

const OFF: ServiceTracing = { ...NOT_TRACED, configured: false, start: async () => {}, shutdown: async () => {} };

/** Costs nothing where `access` has no traces: the SDK is not loaded then. */
export function createTracing({ service, access, logger }: TracingOptions): ServiceTracing {
  const { traces: target, resource } = access;
  if (target === undefined) return OFF;
  let tracer: Tracer | undefined;
  let close: (() => Promise<void>) | undefined;
  const start = async (): Promise<void> => {
    try {
      const { openTraceSdk } = await import("./trace-sdk.ts");
      const sdk = await openTraceSdk({ service, target, resource, log: new ExportLog("traces", logger) });
      tracer = sdk.tracer;
      close = sdk.shutdown;
      const { url, protocol, sampleRatio } = target;
      logger.info({ url, protocol, sampleRatio }, "requests are traced");
    } catch (error) {
      logger.error({ err: error }, "requests are not traced");
    }
  };
  return {
    configured: true,
    get tracer() {
      return tracer;
    },
    start,
    shutdown: async () => {
      tracer = undefined;
      await atMost(SHUTDOWN_MS, close?.() ?? Promise.resolve());
    },
  };
}
