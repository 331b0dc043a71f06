import { setTimeout as sleep } from "node:timers/promises";
import type { Row } from "../row.ts";
import { ACCOUNT, startLoopbackFleet } from "../support/fleet.ts";
import { Media } from "../support/media-process.ts";
import { goesOn } from "./media-figures.ts";

/** The process dies, and the same identity starts again on the same host. */
export const restart: Row = {
  row: 1,
  fault: "SIGKILL a relay, same identity starts again",
  async run(stage, scale) {
    const full = scale === "full";
    const { relays, uris, peerIp } = await startLoopbackFleet(stage, {
      relays: ["relay-0"],
      ports: { min: 20_000, max: full ? 26_999 : 20_999 },
    });
    const [relay] = relays;
    const media = Media.start(stage);
    const before = await media.open({
      calls: 20,
      idle: full ? 5000 : 200,
      servers: uris,
      ...ACCOUNT,
      peerIp,
      refreshEvery: full ? 20 : 2,
    });
    await sleep(500);
    await media.mark();
    await relay?.kill();
    const start = performance.now();
    relay?.launch();
    await relay?.ready();
    const readyMs = performance.now() - start;
    await media.flow();
    await sleep(full ? 65_000 : 5000);
    const report = await media.report();
    const probe = await media.tell({ do: "probe" });
    const { relayed } = await media.tell({ do: "relayed" });
    return [
      { what: "longest silence of a call", value: report.maxGapMs, unit: "ms", atMost: 2000 },
      { what: "allocations back", value: (100 * probe.alive) / probe.allocations, unit: "%", atLeast: 99 },
      {
        what: "relayed addresses that changed",
        value: relayed.filter((address, index) => address !== before.relayed[index]).length,
        unit: "addresses",
        atMost: 0,
      },
      { what: "until the new process was ready", value: readyMs, unit: "ms" },
      { what: "media packets lost meanwhile", value: report.lost, unit: "packets" },
      ...goesOn(report),
    ];
  },
};
