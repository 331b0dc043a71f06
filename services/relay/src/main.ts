import { isEntryPoint, runMain } from "@culvert/config";
import { relayConfigSchema } from "./config-schema.ts";
import { createRelayService } from "./relay-service.ts";

/** Runs a relay as a process. `argv` are the words after the program's name. */
export async function main(argv: readonly string[] = process.argv.slice(2)): Promise<void> {
  await runMain(
    "relay",
    relayConfigSchema,
    async (config) => {
      const relay = createRelayService(config);
      await relay.start();
      return relay;
    },
    { argv },
  );
}

if (isEntryPoint(import.meta.url)) await main();
