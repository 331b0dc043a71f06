import { setTimeout as sleep } from "node:timers/promises";
import { requireProgram } from "../../support/child.ts";
import type { Row } from "../row.ts";
import { ACCOUNT, startLoopbackFleet } from "../support/fleet.ts";
import { Media } from "../support/media-process.ts";
import { goesOn } from "./media-figures.ts";

/** Makes the wall clock of a process wrong, and leaves its monotonic clock as it is. */
const LIBRARY = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
const off = (seconds: number): Readonly<Record<string, string>> => ({
  LD_PRELOAD: requireProgram(LIBRARY, "libfaketime"),
  FAKETIME: `${seconds >= 0 ? "+" : ""}${seconds}s`,
  FAKETIME_DONT_FAKE_MONOTONIC: "1",
  DONT_FAKE_MONOTONIC: "1",
});
/** Of an allocation that is not refreshed, in seconds. */
const LIFETIME = 30;

export const clocks: Row = {
  row: 13,
  fault: "clocks off by 5 minutes",
  async run(stage, scale) {
    const { relays, uris, peerIp } = await startLoopbackFleet(stage, {
      relays: ["fast", "slow"],
      env: { fast: off(300), slow: off(-300) },
    });
    const calls = Media.start(stage);
    await calls.open({ calls: 20, servers: uris, ...ACCOUNT, peerIp, refreshEvery: 5 });
    // Never refreshed while the test lasts: they are to end after their lifetime, no sooner and no later.
    const others = Media.start(stage);
    await others.open({ calls: 0, idle: 20, servers: uris, ...ACCOUNT, peerIp, refreshEvery: 3600 });
    const opened = performance.now();
    await sleep(1000);
    // Each restarts with the other's error: what one wrote the other reads.
    for (const [relay, error] of [
      [relays[0], -300],
      [relays[1], 300],
    ] as const) {
      await relay?.kill();
      await relay?.start(off(error));
    }
    await sleep(1500);
    const early = await others.tell({ do: "probe", waitMs: 1000 });
    await calls.mark();
    const left = opened + (LIFETIME - 5) * 1000 - performance.now();
    await sleep(Math.max(0, left));
    const before = await others.tell({ do: "probe", waitMs: 1000 });
    await sleep(opened + (LIFETIME + 3) * 1000 - performance.now());
    const late = await others.tell({ do: "probe", waitMs: 1000 });
    await sleep(scale === "full" ? 30_000 : 0);
    const report = await calls.report();
    return [
      { what: "allocations alive after the restarts", value: early.alive, unit: "allocations", atLeast: 20 },
      { what: "alive 5 s before their end", value: before.alive, unit: "allocations", atLeast: 20 },
      { what: "alive 3 s after their end", value: late.alive, unit: "allocations", atMost: 0 },
      { what: "media packets lost", value: report.lost, unit: "packets", atMost: 0 },
      ...goesOn(report),
    ];
  },
};
