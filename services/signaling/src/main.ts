import { isEntryPoint, serviceMain } from "@culvert/config";
import { signalingConfigSchema } from "./config-schema.ts";
import { createSignalingService } from "./signaling-service.ts";

/** Runs the signaling service as a process. `argv` are the words after the program's name. */
export const main: (argv?: readonly string[]) => Promise<void> = serviceMain(
  "signaling",
  signalingConfigSchema,
  createSignalingService,
);

if (isEntryPoint(import.meta.url)) await main();
