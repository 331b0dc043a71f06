export { nodeCrypto } from "./crypto.ts";
export { FailureLimiter } from "./failure-limiter.ts";
export { type Close, Lifecycle, type LifecycleSteps } from "./lifecycle.ts";
export { plainAddress, SourceCounter, Sources, sourceKey } from "./source.ts";
export { monotonicClock, type RandomSource, systemRandom } from "./system.ts";
export { Wait } from "./wait.ts";
