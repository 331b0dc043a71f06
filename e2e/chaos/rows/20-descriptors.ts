import { setTimeout as sleep } from "node:timers/promises";
import type { Row } from "../row.ts";
import { ACCOUNT, startLoopbackFleet } from "../support/fleet.ts";
import { Media } from "../support/media-process.ts";
import { lossless } from "./media-figures.ts";

const LIMIT = 400;

export const descriptors: Row = {
  row: 20,
  fault: "file descriptors run out",
  async run(stage) {
    const { relays, uris, peerIp } = await startLoopbackFleet(stage, {
      relays: ["relay-0"],
      wrap: ["/usr/bin/prlimit", `--nofile=${LIMIT}:${LIMIT}`],
    });
    const [relay] = relays;
    const calls = Media.start(stage);
    await calls.open({ calls: 10, servers: uris, ...ACCOUNT, peerIp, refreshEvery: 2 });
    await calls.mark();
    const media = Media.start(stage);
    const order = { do: "storm", servers: uris, ...ACCOUNT, parallel: 20, timeoutMs: 10_000 } as const;
    const storm = { ...order, clients: 2 * LIMIT };
    const first = await media.tell(storm);
    const counted = (await relay?.metric("culvert_relay_requests_total", { code: "508" })) ?? 0;
    await media.tell({ do: "calm" });
    await sleep(1000);
    const second = await media.tell({ ...storm, clients: 100 });
    const report = await calls.report();
    return [
      { what: "granted while there were descriptors", value: first.granted, unit: "allocations", atLeast: 100 },
      { what: "refused with 508", value: first.refused["508"] ?? 0, unit: "clients", atLeast: 1 },
      { what: "counted", value: counted, unit: "refusals", atLeast: 1 },
      { what: "the relay runs", value: relay?.running === true ? 1 : 0, unit: "", atLeast: 1 },
      { what: "granted afterwards", value: second.granted, unit: "allocations", atLeast: 100 },
      ...lossless(report),
    ];
  },
};
