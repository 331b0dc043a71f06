import { setTimeout as sleep } from "node:timers/promises";
import type { Row } from "../row.ts";
import { ACCOUNT, startLoopbackFleet } from "../support/fleet.ts";
import { Media } from "../support/media-process.ts";
import { lossless } from "./media-figures.ts";

const RESIDENT = "process_resident_memory_bytes";
const MIB = 1024 * 1024;

/** Of the 10,000 what two cores serve, the clients' own work included, before the first of them would ask again. */
const CLIENTS = 4000;

/** All clients come at once, twice: what the first time grew is there for the second. */
export const reconnectStorm: Row = {
  row: 19,
  fault: "10,000 clients reconnect at once",
  async run(stage, scale) {
    const clients = scale === "full" ? CLIENTS : 500;
    const { relays, uris, peerIp } = await startLoopbackFleet(stage, {
      relays: ["relay-0"],
      ports: { min: 20_000, max: 20_000 + clients + 99 },
    });
    const [relay] = relays;
    const resident = async (): Promise<number> => ((await relay?.metric(RESIDENT)) ?? 0) / MIB;
    const calls = Media.start(stage);
    await calls.open({ calls: 10, servers: uris, ...ACCOUNT, peerIp, refreshEvery: 2 });
    await calls.mark();
    const media = Media.start(stage);
    const all = { clients, parallel: clients, timeoutMs: 30_000, apart: true };
    const storm = { do: "storm", servers: uris, ...ACCOUNT, ...all } as const;
    const first = await media.tell(storm);
    await media.tell({ do: "calm" });
    await sleep(3000);
    const after = await resident();
    const second = await media.tell(storm);
    await media.tell({ do: "calm" });
    await sleep(3000);
    const again = await resident();
    const report = await calls.report();
    return [
      { what: "granted the first time", value: first.granted, unit: "allocations", atLeast: clients },
      { what: "Allocate p99, challenge included", value: first.p99Ms, unit: "ms", atMost: 2000 },
      { what: "Allocate p50, challenge included", value: first.p50Ms, unit: "ms" },
      { what: "granted the second time", value: second.granted, unit: "allocations", atLeast: clients },
      { what: "Allocate p99 the second time", value: second.p99Ms, unit: "ms", atMost: 2000 },
      { what: "resident memory after the first", value: after, unit: "MiB" },
      { what: "growth from the first to the second", value: again - after, unit: "MiB", atMost: 0.1 * after },
      ...lossless(report),
    ];
  },
};
