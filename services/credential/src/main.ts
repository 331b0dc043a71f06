import { hostname } from "node:os";
import { isEntryPoint, type NatsConfig, readNatsAccess, readTelemetryAccess, runMain } from "@culvert/config";
import { createNatsBus, type EventBus, tracedBus } from "@culvert/events";
import { systemRandom } from "@culvert/runtime";
import {
  createLogger,
  createMetrics,
  createNatsMetrics,
  createTracing,
  type Metrics,
  type ServiceTracing,
} from "@culvert/telemetry";
import { credentialConfigSchema } from "./config-schema.ts";
import { createCredentialService } from "./service.ts";
import { openStore } from "./store.ts";

/** Runs the credential service alone, its state in Redis or in memory. `args` are command line arguments without the program. */
export function main(args: readonly string[] = process.argv.slice(2)): Promise<void> {
  return runMain(
    "credential",
    credentialConfigSchema,
    async (config) => {
      const logger = createLogger({ service: "credential", level: config.logLevel });
      const access = readTelemetryAccess("credential.telemetry", config.telemetry, process.env);
      const metrics = createMetrics({ service: "credential", access, logger });
      const tracing = createTracing({ service: "credential", access, logger });
      await tracing.start();
      const store = openStore(config, logger, metrics);
      const bus = openBus(config.nats, metrics, tracing);
      const service = createCredentialService(config, {
        store,
        clock: Date.now,
        random: systemRandom,
        logger,
        metrics,
        tracing,
        ...(bus === undefined ? {} : { bus }),
      });
      const close = async (): Promise<void> => {
        await store.close();
        await bus?.close();
        await Promise.all([tracing.shutdown(), metrics.shutdown()]);
      };
      try {
        await service.start();
      } catch (error) {
        await close();
        throw error;
      }
      return {
        reload: (next) => service.reload(next),
        stop: async () => {
          await service.stop();
          await close();
        },
      };
    },
    { argv: args },
  );
}

function openBus(nats: NatsConfig | undefined, { meter }: Metrics, tracing: ServiceTracing): EventBus | undefined {
  if (nats === undefined) return undefined;
  const observer = createNatsMetrics(meter, "culvert_credential");
  const name = `culvert-credential ${hostname()}`;
  const bus = createNatsBus({ ...readNatsAccess("credential.nats", nats), name, observer });
  return tracing.configured ? tracedBus(bus, tracing) : bus;
}

if (isEntryPoint(import.meta.url)) await main();
