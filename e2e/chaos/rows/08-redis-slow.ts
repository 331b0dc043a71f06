import { setTimeout as sleep } from "node:timers/promises";
import type { Row } from "../row.ts";
import { ACCOUNT, startLoopbackFleet } from "../support/fleet.ts";
import { Media } from "../support/media-process.ts";
import { lossless } from "./media-figures.ts";

/** Each command takes half a second. */
export const redisSlow: Row = {
  row: 8,
  fault: "Redis slow by 500 ms",
  async run(stage, scale) {
    const { relays, uris, peerIp } = await startLoopbackFleet(stage, { relays: ["relay-0"] });
    const media = Media.start(stage);
    await media.open({ calls: 20, servers: uris, ...ACCOUNT, peerIp, refreshEvery: 2 });
    await sleep(1000);
    await media.mark();
    relays[0]?.redis.delay(250);
    await sleep(1000);
    const storm = await media.tell({
      do: "storm",
      servers: uris,
      ...ACCOUNT,
      clients: 200,
      parallel: 20,
      timeoutMs: 5000,
    });
    await sleep(scale === "full" ? 62_000 : 3000);
    const report = await media.report();
    return [
      ...lossless(report),
      { what: "new allocations", value: storm.granted, unit: "allocations", atLeast: 200 },
      { what: "Allocate p50, challenge included", value: storm.p50Ms, unit: "ms" },
      { what: "Allocate p99, challenge included", value: storm.p99Ms, unit: "ms", atMost: 1000 },
    ];
  },
};
