export { type AddressHasher, createAddressHasher, hashAddress } from "./address-hash.ts";
export { type BackendFailure, type BackendMetrics, createNatsMetrics, createRedisMetrics } from "./backend-metrics.ts";
export { EXPOSITION_TYPES, type ExpositionFormat, negotiateExposition } from "./exposition.ts";
export { createLogger, type DestinationStream, type Logger, type LoggerOptions, REDACTED_KEYS } from "./logger.ts";
export { createMetrics, type Metrics, type MetricsOptions } from "./metrics.ts";
export { createOpsServer, type OpsServer, type OpsServerOptions, type ReadyState, serveOps } from "./ops-server.ts";
export { createTracing, type ServiceTracing, type TracingOptions } from "./tracing.ts";
