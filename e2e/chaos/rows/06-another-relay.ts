import { setTimeout as sleep } from "node:timers/promises";
import type { Row } from "../row.ts";
import { ACCOUNT, startLoopbackFleet, TURN_PORT, untilAcquainted } from "../support/fleet.ts";
import { Media } from "../support/media-process.ts";
import { UdpBalancer } from "../support/udp-balancer.ts";
import { goesOn } from "./media-figures.ts";

/** A load balancer changes its mind: the packets of all calls come to a relay that does not own them. */
export const anotherRelay: Row = {
  row: 6,
  fault: "the client's packets land on another relay",
  async run(stage, scale) {
    const { relays, peerIp } = await startLoopbackFleet(stage, {
      relays: ["relay-0", "relay-1"],
      nats: true,
      frontend: "balancer",
    });
    const targets = relays.map(({ ip }) => ({ ip, port: TURN_PORT }));
    const [first = { ip: "", port: 0 }, second = { ip: "", port: 0 }] = targets;
    const balancer = await UdpBalancer.open(stage, peerIp, first);
    const media = Media.start(stage);
    await media.open({
      calls: 20,
      servers: [`turn:${balancer.ip}:${balancer.port}`],
      ...ACCOUNT,
      peerIp,
      refreshEvery: 2,
    });
    await untilAcquainted(relays);
    await sleep(2000);
    await media.mark();
    balancer.turnTo(second);
    await sleep(50);
    const turn = await media.report(0);
    // The time that it may take is for `make chaos`.
    if (scale === "short") await media.flow();
    await media.mark();
    await sleep(scale === "full" ? 62_000 : 5000);
    const away = await media.report();
    await media.mark();
    balancer.turnTo(first);
    await sleep(50);
    if (scale === "short") await media.flow();
    await media.mark();
    await sleep(scale === "full" ? 10_000 : 3000);
    const back = await media.report();
    return [
      { what: "media packets not yet back in the first 50 ms", value: turn.lost, unit: "packets" },
      { what: "media packets lost over the mesh after that", value: away.lost, unit: "packets", atMost: 0 },
      { what: "media packets over the mesh", value: away.received, unit: "packets", atLeast: 1 },
      { what: "longest silence over the mesh", value: away.maxGapMs, unit: "ms" },
      // What waits for the look-up of its owner may come behind newer packets: late is better than lost.
      ...goesOn(away, { ordered: false }),
      { what: "media packets lost after the way back", value: back.lost, unit: "packets", atMost: 0 },
      { what: "calls silent after the way back", value: back.silentCalls, unit: "calls", atMost: 0 },
    ];
  },
};
