export { createMemoryBus, MemoryBroker, MemoryBus } from "./memory.ts";
export { createNatsBus, NatsBus } from "./nats/bus.ts";
export type { NatsOptions } from "./nats/link.ts";
export type { NatsObserver } from "./nats/observer.ts";
export { createNatsUsageLog, type NatsUsageLogOptions, USAGE_STREAM } from "./nats/usage-log.ts";
export {
  BusError,
  type BusErrorCode,
  type BusHandler,
  type BusHeaders,
  type BusHealth,
  type BusMessage,
  type EventBus,
  MAX_PAYLOAD,
  type RequestOptions,
  type SubscribeOptions,
  type Subscription,
} from "./port.ts";
export {
  assertHeaders,
  assertPattern,
  assertSubject,
  hasWildcard,
  MAX_SUBJECT_LENGTH,
  subjectMatches,
  subjectToken,
  tokenText,
} from "./subject.ts";
export { tracedBus } from "./traced.ts";
export { untilUp } from "./until-up.ts";
export {
  decodeUsageEvent,
  encodeUsageEvent,
  USAGE_KINDS,
  USAGE_LOST,
  USAGE_VERSION,
  type UsageCounters,
  type UsageEvent,
  type UsageKind,
  type UsageSubject,
  usageId,
} from "./usage/event.ts";
export { MemoryUsageStore } from "./usage/memory.ts";
export { UsageMeter, type UsageMeterOptions } from "./usage/meter.ts";
export type {
  FollowOptions,
  UsageFollower,
  UsageHandler,
  UsageLog,
  UsageLogStats,
} from "./usage/port.ts";
export { type UsageTotal, UsageTotals } from "./usage/totals.ts";
