export type { StunConfig } from "./config.ts";
export { stunConfigSchema } from "./config-schema.ts";
export { createStunService, type StunInfo, type StunPorts, type StunService } from "./stun-service.ts";
