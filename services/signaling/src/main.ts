import { isEntryPoint, runMain } from "@culvert/config";
import { signalingConfigSchema } from "./config-schema.ts";
import { createSignalingService } from "./signaling-service.ts";

/** Runs the signaling service as a process. `argv` are the words after the program's name. */
export async function main(argv: readonly string[] = process.argv.slice(2)): Promise<void> {
  await runMain(
    "signaling",
    signalingConfigSchema,
    async (config) => {
      const signaling = createSignalingService(config);
      await signaling.start();
      return signaling;
    },
    { argv },
  );
}

if (isEntryPoint(import.meta.url)) await main();
