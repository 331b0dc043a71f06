import { isEntryPoint, runMain } from "@culvert/config";
import { stunConfigSchema } from "./config-schema.ts";
import { createStunService } from "./stun-service.ts";

/** Runs a STUN server as a process. `argv` are the words after the program's name. */
export async function main(argv: readonly string[] = process.argv.slice(2)): Promise<void> {
  await runMain(
    "stun",
    stunConfigSchema,
    async (config) => {
      const stun = createStunService(config);
      await stun.start();
      return stun;
    },
    { argv },
  );
}

if (isEntryPoint(import.meta.url)) await main();
