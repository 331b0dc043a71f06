import { allocateRedis } from "./allocate-redis.ts";
import type { FleetCase } from "./case.ts";
import { mesh } from "./mesh.ts";
import { redisCost } from "./redis-cost.ts";
import { restore } from "./restore.ts";
import { stateOverhead } from "./state-overhead.ts";

export const FLEET_CASES: readonly FleetCase[] = [stateOverhead, allocateRedis, mesh, restore, redisCost];
