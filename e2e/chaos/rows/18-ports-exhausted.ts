import { setTimeout as sleep } from "node:timers/promises";
import type { Row } from "../row.ts";
import { ACCOUNT, startLoopbackFleet } from "../support/fleet.ts";
import { Media } from "../support/media-process.ts";

const PORTS = 64;

export const portsExhausted: Row = {
  row: 18,
  fault: "ports exhausted",
  async run(stage) {
    const { uris } = await startLoopbackFleet(stage, {
      relays: ["relay-0"],
      ports: { min: 20_000, max: 20_000 + PORTS - 1 },
    });
    const media = Media.start(stage);
    const order = { do: "storm", servers: uris, ...ACCOUNT, parallel: 4, timeoutMs: 5000 } as const;
    const storm = { ...order, clients: PORTS + 100 };
    const first = await media.tell(storm);
    await media.tell({ do: "calm" });
    await sleep(500);
    const second = await media.tell(storm);
    return [
      { what: "allocations granted", value: first.granted, unit: "allocations", atLeast: PORTS, atMost: PORTS },
      { what: "refused with 508", value: first.refused["508"] ?? 0, unit: "clients", atLeast: 100 },
      {
        what: "slowest refusal, challenge included",
        value: first.slowestRefusalMs,
        unit: "ms",
        atMost: 50,
      },
      { what: "granted once all were given back", value: second.granted, unit: "allocations", atLeast: PORTS },
    ];
  },
};
