import { setTimeout as sleep } from "node:timers/promises";
import { freePorts } from "../../support/ports.ts";
import type { Row } from "../row.ts";
import { ACCOUNT, relaySection, TURN_PORT } from "../support/fleet.ts";
import { Media } from "../support/media-process.ts";
import { startReplicatedRedis } from "../support/redis-replicas.ts";
import { RelayProcess } from "../support/relay.ts";

/** Sentinel makes the replica the master while a thousand clients allocate. */
export const redisFailover: Row = {
  row: 9,
  fault: "Redis fails over in the middle of 1,000 Allocates",
  async run(stage) {
    const redis = await startReplicatedRedis(stage);
    const opsPorts = await freePorts(2);
    const ips = ["127.99.9.1", "127.99.9.2"];
    const relays = await Promise.all(
      ips.map(async (ip, index) => {
        const section = relaySection({ name: `relay-${index}`, ip, redisUrl: "", natsUrl: undefined });
        const fleet = { ...Object(section.fleet), redis: { sentinels: redis.sentinels, master: redis.master } };
        const relay = await RelayProcess.create(stage, {
          name: `relay-${index}`,
          config: { ...section, fleet },
          ops: { host: "127.0.0.1", port: opsPorts[index] ?? 0 },
        });
        await relay.start();
        return relay;
      }),
    );
    const media = Media.start(stage);
    const servers = ips.map((ip) => `turn:${ip}:${TURN_PORT}`);
    await media.open({ calls: 10, servers: servers.slice(0, 1), ...ACCOUNT, peerIp: "127.99.9.200", refreshEvery: 2 });
    await media.tell({ do: "mark" });
    const clients = Media.start(stage);
    const order = { do: "storm", servers, ...ACCOUNT, parallel: 20, timeoutMs: 20_000 } as const;
    const storm = clients.tell({ ...order, clients: 1000 });
    await sleep(300);
    await redis.killMaster();
    const result = await storm;
    await redis.failedOver();
    const again = await clients.tell({ ...order, clients: 200 });
    const report = await media.report();
    const all = [...result.relayed, ...again.relayed];
    return [
      { what: "relayed addresses given twice", value: all.length - new Set(all).size, unit: "addresses", atMost: 0 },
      { what: "allocations granted", value: all.length, unit: "allocations", atLeast: 1200 },
      { what: "Allocate p99 over the failover", value: result.p99Ms, unit: "ms" },
      { what: "media packets lost", value: report.lost, unit: "packets", atMost: 0 },
      { what: "relays that still run", value: relays.filter(({ running }) => running).length, unit: "", atLeast: 2 },
    ];
  },
};
