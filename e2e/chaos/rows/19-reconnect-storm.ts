import { setTimeout as sleep } from "node:timers/promises";
import type { Figure, Row } from "../row.ts";
import { ACCOUNT, startLoopbackFleet } from "../support/fleet.ts";
import { Media } from "../support/media-process.ts";
import { type RushReport, rush } from "../support/rush.ts";
import { lossless } from "./media-figures.ts";

const RESIDENT = "process_resident_memory_bytes";
const HEAP = "process_heap_bytes";
const MIB = 1024 * 1024;
/** As many as there can be descriptors for: the relay needs one a client, and a process has 20,000. */
const CLIENTS = 10_000;
/**
 * As many as two cores answer in time, when all come at the very same moment: each costs the relay's control loop 200 microseconds, and
 * Redis, the data plane, the collector of garbage and the clients take turns with it.
 */
const IN_TIME = 5_000;
/** A relay that has served for a while has compiled code; one that has just started takes a third longer. */
const WARM = 1000;
/** Between two collections of garbage: what the first frees of handles, the second frees of memory. */
const COLLECTION_MS = 2000;

/**
 * All clients come at once, twice: what the first time grew is there for the second. Then as many as are answered in time. Ten calls go
 * on meanwhile.
 */
export const reconnectStorm: Row = {
  row: 19,
  fault: "10,000 clients reconnect at once",
  async run(stage, scale) {
    const clients = scale === "full" ? CLIENTS : 500;
    const { relays, uris, peerIp } = await startLoopbackFleet(stage, {
      relays: ["relay-0"],
      direct: true,
      collects: true,
      ports: { min: 20_000, max: 20_000 + clients + 99 },
    });
    const [relay] = relays;
    const mebibytes = async (metric: string): Promise<number> => ((await relay?.metric(metric)) ?? 0) / MIB;
    /** What is left when nobody is there, and garbage is collected. */
    const left = async (): Promise<{ readonly heap: number; readonly resident: number }> => {
      for (let turn = 0; turn < 2; turn++) {
        await sleep(COLLECTION_MS);
        relay?.signal("SIGUSR2");
      }
      await sleep(COLLECTION_MS);
      return { heap: await mebibytes(HEAP), resident: await mebibytes(RESIDENT) };
    };
    const calls = Media.start(stage);
    await calls.open({ calls: 10, servers: uris, ...ACCOUNT, peerIp, refreshEvery: 2 });
    await calls.mark();
    const [server = ""] = uris;
    const storm = (count: number): Promise<RushReport> => rush({ server, ...ACCOUNT, clients: count });
    if (scale === "full") await storm(WARM);
    const first = await storm(clients);
    const after = await left();
    const second = await storm(clients);
    const again = await left();
    const held = scale === "full" ? IN_TIME : clients;
    const third = await storm(held);
    const report = await calls.report();
    const lapsed = (await relay?.metric("culvert_relay_slots_total", { event: "lapsed" })) ?? 0;
    return [
      ...figuresOf("the first time", first, clients),
      ...figuresOf("the second time", second, clients),
      ...figuresOf(`of ${held}`, third, held),
      { what: "leases that lapsed", value: lapsed, unit: "leases", atMost: 0 },
      { what: "heap after the first", value: after.heap, unit: "MiB" },
      { what: "growth to after the second", value: again.heap - after.heap, unit: "MiB", atMost: 0.1 * after.heap },
      { what: "resident memory after the first", value: after.resident, unit: "MiB" },
      {
        what: "growth of resident memory to after the second",
        value: again.resident - after.resident,
        unit: "MiB",
        atMost: 0.1 * after.resident,
      },
      ...lossless(report),
    ];
  },
};

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
