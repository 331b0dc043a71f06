import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Child } from "../../support/child.ts";
import { eventually } from "../../support/eventually.ts";
import { freePorts } from "../../support/ports.ts";
import { startRedis } from "./redis.ts";
import type { Stage } from "./stage.ts";

const NAME = "fleet";
const SENTINELS = 3;
/** Sentinel waits this long before it calls a master down, in milliseconds. */
const DOWN_AFTER_MS = 1000;

export interface ReplicatedRedis {
  /** `host:port` of each Sentinel. */
  readonly sentinels: readonly string[];
  /** The name by which they know the master. */
  readonly master: string;
  killMaster(): Promise<void>;
  /** Resolves once the replica is the master. */
  failedOver(): Promise<void>;
}

/** A master, a replica, and three Sentinels that watch them. */
export async function startReplicatedRedis(stage: Stage): Promise<ReplicatedRedis> {
  const master = await startRedis(stage);
  const replica = await startRedis(stage, ["--replicaof", master.host, String(master.port)]);
  await eventually("the replica is in step", async () => {
    const info = await replica.command("info", "replication");
    return info.includes("master_link_status:up") || undefined;
  });
  const ports = await freePorts(SENTINELS);
  for (const port of ports) {
    const file = join(await stage.folder(), "sentinel.conf");
    await writeFile(
      file,
      [
        `bind 127.0.0.1`,
        `port ${port}`,
        `sentinel monitor ${NAME} ${master.host} ${master.port} 2`,
        `sentinel down-after-milliseconds ${NAME} ${DOWN_AFTER_MS}`,
        `sentinel failover-timeout ${NAME} 5000`,
        "",
      ].join("\n"),
    );
    const sentinel = new Child("/usr/bin/redis-server", [file, "--sentinel"]);
    stage.atEnd(() => sentinel.stop("SIGKILL"));
    await sentinel.until("it watches", ({ output }) => output.includes("+monitor") || undefined, 10_000);
  }
  return {
    sentinels: ports.map((port) => `127.0.0.1:${port}`),
    master: NAME,
    killMaster: () => master.kill(),
    failedOver: async () => {
      await eventually(
        "the replica is the master",
        async () => (await replica.command("role")).startsWith("master") || undefined,
        30_000,
      );
    },
  };
}
