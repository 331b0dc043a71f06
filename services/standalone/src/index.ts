export { loadStandaloneConfig, type StandaloneConfig, standaloneSchema } from "./config.ts";
export { createStandaloneService, type Platform, type PlatformOptions } from "./platform.ts";
export type { Ready } from "./ready.ts";
