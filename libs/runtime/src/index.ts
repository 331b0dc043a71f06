export { nodeCrypto } from "./crypto.ts";
export { type Close, Lifecycle, type LifecycleSteps } from "./lifecycle.ts";
export { monotonicClock, type RandomSource, systemRandom } from "./system.ts";
export { Wait } from "./wait.ts";
