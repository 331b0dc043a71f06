import { setTimeout as sleep } from "node:timers/promises";
import type { RushReport } from "../media/messages.ts";
import type { Figure, Row } from "../row.ts";
import { ACCOUNT, startLoopbackFleet } from "../support/fleet.ts";
import { Media } from "../support/media-process.ts";
import { lossless } from "./media-figures.ts";

const RESIDENT = "process_resident_memory_bytes";
const MIB = 1024 * 1024;
const CLIENTS = 10_000;
/** A relay that has served for a while has compiled code; one that has just started takes a third longer. */
const WARM = 1000;
/** Memory that garbage took is given back when nothing happens: it is looked at until it has not shrunk for so long. */
const SETTLED_MS = 12_000;
const PATIENCE_MS = 60_000;

/** All clients come at once, twice: what the first time grew is there for the second. Ten calls go on meanwhile. */
export const reconnectStorm: Row = {
  row: 19,
  fault: "10,000 clients reconnect at once",
  async run(stage, scale) {
    const clients = scale === "full" ? CLIENTS : 500;
    const { relays, uris, peerIp } = await startLoopbackFleet(stage, {
      relays: ["relay-0"],
      direct: true,
      ports: { min: 20_000, max: 20_000 + clients + 99 },
    });
    const [relay] = relays;
    const resident = async (): Promise<number> => ((await relay?.metric(RESIDENT)) ?? 0) / MIB;
    const calls = Media.start(stage);
    await calls.open({ calls: 10, servers: uris, ...ACCOUNT, peerIp, refreshEvery: 2 });
    await calls.mark();
    const media = Media.start(stage);
    const [server = ""] = uris;
    const rush = { do: "rush", server, ...ACCOUNT, clients, timeoutMs: 30_000 } as const;
    const storm = async (): Promise<RushReport> => {
      const told = await media.tell(rush);
      await media.tell({ do: "calm" });
      return told;
    };
    if (scale === "full") {
      await media.tell({ ...rush, clients: WARM });
      await media.tell({ do: "calm" });
    }
    const settled = (): Promise<number> => (scale === "full" ? lowest(resident) : resident());
    const first = await storm();
    const after = await settled();
    const second = await storm();
    const again = await settled();
    const report = await calls.report();
    const lapsed = (await relay?.metric("culvert_relay_slots_total", { event: "lapsed" })) ?? 0;
    return [
      ...figuresOf("the first time", first, clients),
      ...figuresOf("the second time", second, clients),
      { what: "leases that lapsed", value: lapsed, unit: "leases", atMost: 0 },
      { what: "resident memory after the first", value: after, unit: "MiB" },
      { what: "growth from the first to the second", value: again - after, unit: "MiB", atMost: 0.1 * after },
      ...lossless(report),
    ];
  },
};

/** What a value comes to once it does not fall any more. */
async function lowest(read: () => Promise<number>): Promise<number> {
  let [best, bestAt] = [Number.POSITIVE_INFINITY, performance.now()];
  const end = bestAt + PATIENCE_MS;
  for (let now = bestAt; now - bestAt < SETTLED_MS && now < end; now = performance.now()) {
    const value = await read();
    if (value < 0.99 * best) [best, bestAt] = [value, now];
    await sleep(1000);
  }
  return best;
}

function figuresOf(when: string, report: RushReport, clients: number): readonly Figure[] {
  const { granted, p50Ms, p99Ms, retransmissions, busy } = report;
  return [
    { what: `granted ${when}`, value: granted, unit: "allocations", atLeast: clients },
    { what: `Allocate p99 ${when}, challenge included`, value: p99Ms, unit: "ms", atMost: 2000 },
    { what: `Allocate p50 ${when}, challenge included`, value: p50Ms, unit: "ms" },
    { what: `requests sent again ${when}`, value: retransmissions, unit: "requests" },
    { what: `core that the clients took ${when}`, value: 100 * busy, unit: "%" },
  ];
}
