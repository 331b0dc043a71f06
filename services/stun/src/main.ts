import { isEntryPoint, serviceMain } from "@culvert/config";
import { stunConfigSchema } from "./config-schema.ts";
import { createStunService } from "./stun-service.ts";

/** Runs a STUN server as a process. `argv` are the words after the program's name. */
export const main: (argv?: readonly string[]) => Promise<void> = serviceMain(
  "stun",
  stunConfigSchema,
  createStunService,
);

if (isEntryPoint(import.meta.url)) await main();
