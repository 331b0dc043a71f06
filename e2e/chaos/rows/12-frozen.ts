import { setTimeout as sleep } from "node:timers/promises";
import type { Row } from "../row.ts";
import { ACCOUNT } from "../support/fleet.ts";
import { Media } from "../support/media-process.ts";
import { startMovingFleet } from "../support/moving-fleet.ts";

const RELAYED = "culvert_relay_relayed_packets_total";

/** The process stands still past its lease, another takes over, and the first one wakes up with all its sockets open. */
export const frozen: Row = {
  row: 12,
  fault: "SIGSTOP 30 s, then SIGCONT",
  async run(stage, scale) {
    const { uri, ip, holder, survivor, clients, moveAddress } = await startMovingFleet(stage);
    const media = Media.start(stage, clients.namespace);
    await media.open({ calls: 20, servers: [uri], ...ACCOUNT, peerIp: clients.ip, refreshEvery: 2 });
    await sleep(2000);
    await media.mark();
    holder.relay.signal("SIGSTOP");
    await moveAddress(survivor.host);
    await sleep(scale === "full" ? 30_000 : 8000);
    const taken = await media.report();
    const before = await survivor.relay.metric(RELAYED);
    // Its sockets hold what came when it stood still; clients send to it again.
    await clients.pointTo(ip, holder.host);
    await media.mark();
    holder.relay.signal("SIGCONT");
    await sleep(1000);
    const first = await media.report(0);
    await media.mark();
    await sleep(4000);
    const awake = await media.report(0);
    await clients.pointTo(ip, survivor.host);
    await sleep(500);
    await media.mark();
    await sleep(3000);
    const back = await media.report();
    return [
      { what: "longest silence until the survivor relayed", value: taken.maxGapMs, unit: "ms", atMost: 10_000 },
      { what: "calls silent at the survivor", value: taken.silentCalls, unit: "calls", atMost: 0 },
      { what: "packets that the survivor relayed", value: before, unit: "packets", atLeast: 1 },
      { what: "packets from the first in its first second awake", value: first.received, unit: "packets", atMost: 0 },
      { what: "packets from the first afterwards", value: awake.received, unit: "packets", atMost: 0 },
      { what: "the first still runs", value: holder.relay.running ? 1 : 0, unit: "", atLeast: 1 },
      { what: "calls silent at the survivor at the end", value: back.silentCalls, unit: "calls", atMost: 0 },
    ];
  },
};
