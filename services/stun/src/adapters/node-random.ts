import { randomBytes } from "node:crypto";
import type { RandomSource } from "@culvert/turn";

/** The CSPRNG of the system. */
export const nodeRandom: RandomSource = { bytes: (count) => randomBytes(count) };
