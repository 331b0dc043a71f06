export { createMemoryBus, MemoryBroker, MemoryBus } from "./memory.ts";
export { createNatsBus, NatsBus } from "./nats/bus.ts";
export type { NatsOptions } from "./nats/link.ts";
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
