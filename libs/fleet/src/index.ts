export { alternatesOf } from "./alternates.ts";
export { type Control, decodeControl, encodeControl } from "./control.ts";
export { FleetClock, type TimeSample } from "./fleet-clock.ts";
export type * from "./keeper-io.ts";
export { fleetKeys, hkdf, type KeyPurpose, nextRotation, nonceKeys } from "./keys.ts";
export { type LeaseTimes, leaseTimes } from "./lease-times.ts";
export {
  DIRECTORY_LIMITS,
  type DirectoryLimits,
  OwnerDirectory,
  type Route,
  type RouteDrop,
  type TupleOwner,
  type Waited,
} from "./owner-directory.ts";
export { SlotKeeper } from "./slot-keeper.ts";
export { cutSlots, parseSlot, type SlotName, type SlotRange, slotName } from "./slots.ts";
export type * from "./types.ts";
export { type Change, WRITE_BEHIND_LIMITS, WriteBehind, type WriteBehindLimits } from "./write-behind.ts";
