import type { Clock } from "@culvert/dataplane";

/** Milliseconds since the Unix epoch as it was at the start of the process; later steps of the wall clock do not reach it. */
export const monotonicClock: Clock = () => performance.timeOrigin + performance.now();
