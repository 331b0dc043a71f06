import { readdirSync, readFileSync } from "node:fs";
import { createNativeDataPlane, createNodeDataPlane, type DataPlane } from "@culvert/dataplane";
import { decodeTrace } from "@culvert/testkit";
import { describe, expect, test } from "vitest";
import { loadBinding } from "../src/native/load.ts";
import { Replay } from "./differential/replay.ts";

/** What coturn's client, Chromium and our own client did with a relay: e2e/record writes it. */
const TRACES = new URL("./recorded/", import.meta.url);

async function replayOn(name: string, create: (clock: () => number) => DataPlane) {
  let now = 1_700_000_000_000;
  const plane = create(() => now);
  const advance = (ms: number): void => {
    now += ms;
    plane.apply([]);
  };
  const trace = decodeTrace(readFileSync(new URL(name, TRACES)));
  const replay = await Replay.open({ plane, now: () => now, advance }, trace);
  try {
    return { seen: await replay.play(), counters: plane.counters() };
  } finally {
    await replay.close();
  }
}

describe.each(readdirSync(TRACES))("the recorded trace %s", (name) => {
  test.runIf(loadBinding().ok)("does the same on the portable and on the native data plane", async () => {
    const portable = await replayOn(name, (clock) => createNodeDataPlane({ clock }));
    const native = await replayOn(name, (clock) => createNativeDataPlane({ clock, time: "stepped", workers: 2 }));
    expect(native).toEqual(portable);
  });

  test("is relayed both ways on the portable data plane", async () => {
    const { counters } = await replayOn(name, (clock) => createNodeDataPlane({ clock }));
    expect(Math.min(counters.packetsToPeers, counters.packetsToClients, counters.slowPath)).toBeGreaterThan(5);
  });
});
