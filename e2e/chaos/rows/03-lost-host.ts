import { setTimeout as sleep } from "node:timers/promises";
import type { Row } from "../row.ts";
import { ACCOUNT, startLoopbackFleet } from "../support/fleet.ts";
import { Media } from "../support/media-process.ts";

/** The host is gone for good and its address with it: clients allocate at another relay. */
export const lostHost: Row = {
  row: 3,
  fault: "a relay's host is lost, its IP does not move",
  async run(stage, scale) {
    const { relays, uris, peerIp } = await startLoopbackFleet(stage, { relays: ["relay-0", "relay-1"] });
    const media = Media.start(stage);
    const calls = scale === "full" ? 50 : 10;
    await media.open({ calls, servers: uris, ...ACCOUNT, peerIp, refreshEvery: 5, restartAfterMs: 2000 });
    await sleep(500);
    await media.mark();
    await relays[0]?.kill();
    await sleep(15_000);
    const lost = await media.report();
    await media.mark();
    await sleep(scale === "full" ? 60_000 : 5000);
    const after = await media.report();
    return [
      { what: "calls on a new allocation", value: lost.restarts, unit: "calls", atLeast: calls },
      { what: "slowest, silence included", value: lost.slowestRestartMs, unit: "ms", atMost: 10_000 },
      { what: "media packets lost afterwards", value: after.lost, unit: "packets", atMost: 0 },
      { what: "calls silent at the end", value: after.silentCalls, unit: "calls", atMost: 0 },
    ];
  },
};
