import { setTimeout as sleep } from "node:timers/promises";
import type { Row } from "../row.ts";
import { ACCOUNT } from "../support/fleet.ts";
import { Media } from "../support/media-process.ts";
import { startMovingFleet } from "../support/moving-fleet.ts";
import { goesOn } from "./media-figures.ts";

/** The host dies without a word; its address is given to another, as a floating IP or a load balancer's is. */
export const addressMoves: Row = {
  row: 2,
  fault: "a relay's host is lost, its relayed IP moves",
  async run(stage, scale) {
    const full = scale === "full";
    const { uri, holder, survivor, clients, moveAddress } = await startMovingFleet(stage);
    const media = Media.start(stage, clients.namespace);
    await media.open({
      calls: 20,
      idle: full ? 1000 : 100,
      servers: [uri],
      ...ACCOUNT,
      peerIp: clients.ip,
      refreshEvery: full ? 20 : 2,
    });
    await sleep(1000);
    await media.mark();
    await holder.host.unplug();
    await holder.relay.kill();
    await moveAddress(survivor.host);
    await sleep(full ? 65_000 : 8000);
    const report = await media.report();
    const probe = await media.tell({ do: "probe" });
    return [
      { what: "longest silence of a call", value: report.maxGapMs, unit: "ms", atMost: 5000 },
      { what: "allocations back", value: (100 * probe.alive) / probe.allocations, unit: "%", atLeast: 99 },
      { what: "media packets lost meanwhile", value: report.lost, unit: "packets" },
      ...goesOn(report),
    ];
  },
};
