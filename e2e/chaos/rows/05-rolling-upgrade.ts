import { setTimeout as sleep } from "node:timers/promises";
import type { Row } from "../row.ts";
import { ACCOUNT, startLoopbackFleet } from "../support/fleet.ts";
import { Media } from "../support/media-process.ts";
import { goesOn } from "./media-figures.ts";

/** One relay after the other is told to stop, and starts again as the same identity, while all its allocations live. */
export const rollingUpgrade: Row = {
  row: 5,
  fault: "rolling upgrade under 10,000 allocations",
  async run(stage, scale) {
    const full = scale === "full";
    const { relays, uris, peerIp } = await startLoopbackFleet(stage, {
      relays: ["relay-0", "relay-1"],
      ports: { min: 20_000, max: full ? 26_999 : 20_999 },
      drainSeconds: 2,
      // Long against a restart, as the default of ten minutes is; short enough that all refresh while relays come and go.
      ...(full ? { config: { lifetime: { default: 90, max: 600 } } } : {}),
    });
    // One media process for each relay: each has a limit of descriptors of its own.
    const each = await Promise.all(
      uris.map(async (uri) => {
        const media = Media.start(stage);
        await media.open({
          calls: 10,
          idle: full ? 4990 : 190,
          servers: [uri],
          ...ACCOUNT,
          peerIp,
          refreshEvery: full ? 20 : 3,
        });
        return media;
      }),
    );
    await sleep(1000);
    await Promise.all(each.map((media) => media.mark()));
    let slowestMs = 0;
    for (const relay of relays) {
      const start = performance.now();
      relay.signal("SIGTERM");
      await relay.ended();
      await relay.start();
      slowestMs = Math.max(slowestMs, performance.now() - start);
      await sleep(3000);
    }
    await sleep(full ? 62_000 : 3000);
    const reports = await Promise.all(each.map((media) => media.report()));
    const probes = await Promise.all(each.map((media) => media.tell({ do: "probe" })));
    const alive = probes.reduce((sum, probe) => sum + probe.alive, 0);
    const all = probes.reduce((sum, probe) => sum + probe.allocations, 0);
    return [
      { what: "allocations", value: all, unit: "allocations" },
      { what: "slowest restart, 2 s of drain included", value: slowestMs, unit: "ms" },
      { what: "allocations that relay afterwards", value: (100 * alive) / all, unit: "%", atLeast: 99 },
      { what: "longest silence of a call", value: Math.max(...reports.map(({ maxGapMs }) => maxGapMs)), unit: "ms" },
      ...reports.flatMap((report) => goesOn(report)),
    ];
  },
};
