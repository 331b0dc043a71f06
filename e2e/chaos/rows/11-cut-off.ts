import { setTimeout as sleep } from "node:timers/promises";
import type { Row } from "../row.ts";
import { ACCOUNT } from "../support/fleet.ts";
import { Media } from "../support/media-process.ts";
import { startMovingFleet } from "../support/moving-fleet.ts";

const SLOT_METRIC = "culvert_relay_slots_held";

/**
 * The relay runs and its clients reach it, but Redis is out of its reach. It has to stop by itself before another one may
 * start, and what it writes when it is back must not count.
 */
export const cutOff: Row = {
  row: 11,
  fault: "relay cut off from Redis past its lease",
  async run(stage, scale) {
    const { uri, ip, holder, survivor, clients, redisHost, moveAddress } = await startMovingFleet(stage);
    const media = Media.start(stage, clients.namespace);
    await media.open({ calls: 20, idle: 50, servers: [uri], ...ACCOUNT, peerIp: clients.ip, refreshEvery: 2 });
    await sleep(2000);
    const start = performance.now();
    await holder.host.cutFrom(redisHost);
    await media.mark();
    // Until the last packet that came through the relay that is cut off.
    let fencedMs = Number.POSITIVE_INFINITY;
    for (let waited = 0; waited < 20_000; waited += 500) {
      await sleep(500);
      const { silentCalls } = await media.report(0);
      if (silentCalls === 20) {
        fencedMs = performance.now() - start - 1000;
        break;
      }
    }
    // The address moves only now: whoever still relays for it would be seen.
    await moveAddress(survivor.host);
    const taken = await survivor.relay.timeUntil(
      (samples) => samples.some(({ name, value }) => name === SLOT_METRIC && value > 0),
      60_000,
    );
    await media.flow();
    await media.mark();
    await sleep(scale === "full" ? 62_000 : 4000);
    const after = await media.report();
    // The old holder comes back: clients that still find the way to it get nothing from it.
    await holder.host.heal();
    await sleep(3000);
    await clients.pointTo(ip, holder.host);
    await sleep(500);
    await media.mark();
    await sleep(3000);
    const old = await media.report();
    await clients.pointTo(ip, survivor.host);
    await media.flow();
    await media.mark();
    await sleep(3000);
    const healed = await media.report();
    const held = await holder.relay.metric(SLOT_METRIC);
    return [
      { what: "from the cut to the end of relaying", value: fencedMs, unit: "ms", atMost: 5000 },
      { what: "from the move of the address to the takeover", value: taken, unit: "ms", atMost: 10_000 },
      { what: "calls silent at the survivor", value: after.silentCalls, unit: "calls", atMost: 0 },
      { what: "media packets lost at the survivor", value: after.lost, unit: "packets", atMost: 0 },
      { what: "media packets through the old holder, healed", value: old.received, unit: "packets", atMost: 0 },
      { what: "slots of the old holder, healed", value: held, unit: "slots", atMost: 0 },
      { what: "calls silent at the survivor at the end", value: healed.silentCalls, unit: "calls", atMost: 0 },
    ];
  },
};
