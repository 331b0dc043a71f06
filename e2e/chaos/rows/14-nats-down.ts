import { setTimeout as sleep } from "node:timers/promises";
import { eventually } from "../../support/eventually.ts";
import type { Row } from "../row.ts";
import { ACCOUNT, startLoopbackFleet } from "../support/fleet.ts";
import { Media } from "../support/media-process.ts";
import { lossless } from "./media-figures.ts";

const POLL_MS = 50;
const PATIENCE_MS = 60_000;

export const natsDown: Row = {
  row: 14,
  fault: "NATS down 10 minutes",
  async run(stage, scale) {
    const { nats, uris, peerIp } = await startLoopbackFleet(stage, { relays: ["relay-0", "relay-1"], nats: true });
    if (nats === undefined) throw new Error("the fleet has no NATS");
    const media = Media.start(stage);
    await media.open({ calls: 20, servers: uris, ...ACCOUNT, peerIp, refreshEvery: 2 });
    await eventually("the relays are subscribed", async () => (await nats.subscriptions()) >= 2 || undefined);
    await sleep(1000);
    const before = await nats.subscriptions();
    await media.mark();
    await nats.kill();
    await sleep(scale === "full" ? 600_000 : 6000);
    await nats.start();
    const start = performance.now();
    let now = 0;
    while (now < before && performance.now() - start < PATIENCE_MS) {
      now = await nats.subscriptions();
      await sleep(POLL_MS);
    }
    const subscribedMs = performance.now() - start;
    await sleep(scale === "full" ? 10_000 : 2000);
    const report = await media.report();
    return [
      ...lossless(report),
      { what: "subscriptions before", value: before, unit: "subscriptions", atLeast: 2 },
      { what: "subscriptions afterwards", value: now, unit: "subscriptions", atLeast: before },
      { what: "until all are there again", value: subscribedMs, unit: "ms", atMost: 5000 },
    ];
  },
};
