export { nodeCrypto } from "@culvert/runtime";
export { Choices } from "./choices.ts";
export { type ManualClock, manualClock } from "./clock.ts";
export { mustDecode, outcomeOf } from "./expect-message.ts";
export { type SeededRandom, seededRandom } from "./random.ts";
export { RelayTableModel, type TableRules } from "./relay-table-model.ts";
export { type Challenge, type RequestChanges, StunSession, type StunSessionOptions } from "./stun-session.ts";
export { driveTurnServer } from "./turn-driver.ts";
