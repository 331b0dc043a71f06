import { setTimeout as sleep } from "node:timers/promises";
import { eventually } from "../../support/eventually.ts";
import { total } from "../../support/metrics.ts";
import type { Row } from "../row.ts";
import { ACCOUNT, startLoopbackFleet, untilAcquainted } from "../support/fleet.ts";
import { Media } from "../support/media-process.ts";
import { goesOn, lossless } from "./media-figures.ts";

/** Redis is gone for a minute. Calls go on, new ones come, and what happened meanwhile survives the next restart. */
export const redisDown: Row = {
  row: 7,
  fault: "Redis down 60 s",
  async run(stage, scale) {
    const { relays, redis, uris, peerIp } = await startLoopbackFleet(stage, {
      relays: ["relay-0", "relay-1"],
      redisArgs: ["--appendonly", "yes", "--appendfsync", "always"],
    });
    const servers = uris.slice(0, 1);
    const media = Media.start(stage);
    await media.open({ calls: 20, servers, ...ACCOUNT, peerIp, refreshEvery: 2 });
    await untilAcquainted(relays);
    await sleep(2000);
    await media.mark();
    await redis.kill();
    await sleep(2000);
    const meanwhile = Media.start(stage);
    await meanwhile.open({ calls: 10, servers, ...ACCOUNT, peerIp, refreshEvery: 2 });
    await sleep(scale === "full" ? 58_000 : 6000);
    const down = await media.report();
    await media.mark();
    await redis.start();
    await eventually("what happened meanwhile is written", async () => {
      const samples = (await relays[0]?.metrics()) ?? [];
      const up = total(samples, "culvert_relay_redis_up") === 1;
      return (up && total(samples, "culvert_relay_write_behind_queue") === 0) || undefined;
    });
    await sleep(2000);
    const up = await media.report();
    await media.mark();
    await meanwhile.mark();
    await relays[0]?.kill();
    await relays[0]?.start();
    await media.flow();
    await meanwhile.flow();
    await media.mark();
    await meanwhile.mark();
    await sleep(4000);
    const restored = await media.report();
    const late = await meanwhile.report();
    return [
      ...lossless(down),
      { what: "media packets lost when Redis was back", value: up.lost, unit: "packets", atMost: 0 },
      { what: "calls of before lost in a later restart", value: restored.silentCalls, unit: "calls", atMost: 0 },
      { what: "calls begun meanwhile lost in it", value: late.silentCalls, unit: "calls", atMost: 0 },
      ...goesOn(late),
    ];
  },
};
