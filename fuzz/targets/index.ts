import type { FuzzTarget } from "../src/target.ts";
import { restore } from "./restore.ts";
import { stun } from "./stun.ts";
import { turn } from "./turn.ts";

/** All targets, in the order they run. */
export const targets: readonly FuzzTarget[] = [stun, turn, restore];
