export { SIGNALING_PATH } from "./adapters/gateway.ts";
export type { SignalingConfig } from "./config.ts";
export { signalingConfigSchema } from "./config-schema.ts";
export type { SignalingPorts } from "./ports.ts";
export { createSignalingService, type SignalingInfo, type SignalingService } from "./signaling-service.ts";
