import { setTimeout as sleep } from "node:timers/promises";
import type { Row } from "../row.ts";
import { ACCOUNT, startLoopbackFleet } from "../support/fleet.ts";
import { Media } from "../support/media-process.ts";
import { lossless } from "./media-figures.ts";

const POLL_MS = 100;
const PATIENCE_MS = 30_000;

/** All that the fleet keeps in Redis is gone; the relays know it still. */
export const flushall: Row = {
  row: 10,
  fault: "FLUSHALL",
  async run(stage, scale) {
    const full = scale === "full";
    const { relays, redis, uris, peerIp } = await startLoopbackFleet(stage, { relays: ["relay-0", "relay-1"] });
    const media = Media.start(stage);
    const calls = 20;
    const idle = full ? 1000 : 100;
    await media.open({ calls, idle, servers: uris.slice(0, 1), ...ACCOUNT, peerIp, refreshEvery: 10 });
    await sleep(2000);
    const before = Number(await redis.command("dbsize"));
    await media.mark();
    await redis.command("flushall");
    const start = performance.now();
    let keys = 0;
    while (keys < before && performance.now() - start < PATIENCE_MS) {
      await sleep(POLL_MS);
      keys = Number(await redis.command("dbsize"));
    }
    const republishedMs = performance.now() - start;
    await sleep(full ? 62_000 : 8000);
    const report = await media.report();
    await relays[0]?.kill();
    await relays[0]?.start();
    await sleep(1000);
    const probe = await media.tell({ do: "probe" });
    return [
      { what: "until Redis has as many keys again", value: republishedMs, unit: "ms", atMost: 10_000 },
      { what: "keys before", value: before, unit: "keys", atLeast: calls + idle },
      { what: "keys afterwards", value: keys, unit: "keys", atLeast: before },
      ...lossless(report),
      {
        what: "allocations back after a later SIGKILL",
        value: (100 * probe.alive) / probe.allocations,
        unit: "%",
        atLeast: 99,
      },
    ];
  },
};
