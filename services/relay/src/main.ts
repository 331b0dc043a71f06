import { isEntryPoint, serviceMain } from "@culvert/config";
import { relayConfigSchema } from "./config-schema.ts";
import { createRelayService } from "./relay-service.ts";

/** Runs a relay as a process. `argv` are the words after the program's name. */
export const main: (argv?: readonly string[]) => Promise<void> = serviceMain(
  "relay",
  relayConfigSchema,
  createRelayService,
);

if (isEntryPoint(import.meta.url)) await main();
