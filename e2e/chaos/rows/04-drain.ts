import { setTimeout as sleep } from "node:timers/promises";
import { eventually } from "../../support/eventually.ts";
import type { Row } from "../row.ts";
import { ACCOUNT, startLoopbackFleet, untilAcquainted } from "../support/fleet.ts";
import { Media } from "../support/media-process.ts";
import { lossless } from "./media-figures.ts";

/** SIGTERM with calls on: new ones go to another relay, those there are go on until they end. */
export const drain: Row = {
  row: 4,
  fault: "SIGTERM under load",
  async run(stage, scale) {
    const { relays, uris, peerIp } = await startLoopbackFleet(stage, {
      relays: ["relay-0", "relay-1"],
      drainSeconds: 300,
    });
    const [draining] = relays;
    const media = Media.start(stage);
    const servers = uris.slice(0, 1);
    await media.open({ calls: 20, servers, ...ACCOUNT, peerIp, refreshEvery: 2 });
    await untilAcquainted(relays);
    // Heartbeats tell the relays what room the others have.
    await sleep(2000);
    await media.mark();
    draining?.signal("SIGTERM");
    await eventually("it drains", async () => (await draining?.metric("culvert_relay_draining")) === 1 || undefined);
    const newcomers = Media.start(stage);
    const { failures } = await newcomers.tell({ do: "open", calls: 10, servers, ...ACCOUNT, peerIp });
    const { servers: reached } = await newcomers.tell({ do: "relayed" });
    await sleep(scale === "full" ? 62_000 : 5000);
    const report = await media.report();
    const readiness = draining?.running === true ? 1 : 0;
    await media.tell({ do: "close", release: true });
    const start = performance.now();
    const code = await draining?.ended();
    return [
      ...lossless(report),
      { what: "new clients refused", value: failures.length, unit: "clients", atMost: 0 },
      {
        what: "new clients sent to the other relay",
        value: reached.filter((server) => server.startsWith(`${relays[1]?.ip}:`)).length,
        unit: "clients",
        atLeast: 10,
      },
      { what: "the relay ran until its calls ended", value: readiness, unit: "", atLeast: 1 },
      { what: "from the last call's end to the process's", value: performance.now() - start, unit: "ms", atMost: 5000 },
      { what: "exit code", value: code ?? -1, unit: "", atMost: 0, atLeast: 0 },
    ];
  },
};
