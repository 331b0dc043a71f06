import { isEntryPoint, runMain } from "@culvert/config";
import { systemRandom } from "@culvert/runtime";
import { createMemoryCredentialStore } from "@culvert/state";
import { createLogger, createMetrics } from "@culvert/telemetry";
import { credentialConfigSchema } from "./config-schema.ts";
import { createCredentialService } from "./service.ts";

/** Runs the credential service alone, its state in memory. `args` are command line arguments without the program. */
export function main(args: readonly string[] = process.argv.slice(2)): Promise<void> {
  return runMain(
    "credential",
    credentialConfigSchema,
    async (config) => {
      const store = createMemoryCredentialStore();
      const metrics = createMetrics({ service: "credential" });
      const service = createCredentialService(config, {
        store,
        clock: Date.now,
        random: systemRandom,
        logger: createLogger({ service: "credential", level: config.logLevel }),
        metrics,
      });
      await service.start();
      return {
        stop: async () => {
          await service.stop();
          await store.close();
          await metrics.shutdown();
        },
      };
    },
    { argv: args },
  );
}

if (isEntryPoint(import.meta.url)) await main();
