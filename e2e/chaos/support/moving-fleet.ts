import { setTimeout as sleep } from "node:timers/promises";
import { relaySection, TURN_PORT } from "./fleet.ts";
import { type Host, makeNetwork } from "./namespaces.ts";
import { type RedisProcess, startRedis } from "./redis.ts";
import { RelayProcess } from "./relay.ts";
import type { Stage } from "./stage.ts";

/** The address that clients know: on one host at a time. */
const MOVING_IP = "10.77.0.100";
const REDIS_PORT = 6379;
const OPS_PORT = 9101;
/** 2.25 leases of 3 s, and a renewal. */
const VOUCH_MS = 8000;

export interface Station {
  readonly host: Host;
  readonly relay: RelayProcess;
}

export interface MovingFleet {
  readonly uri: string;
  readonly ip: string;
  readonly redis: RedisProcess;
  readonly redisHost: Host;
  /** The relay whose host has the address at first. */
  readonly holder: Station;
  readonly survivor: Station;
  /** The host of clients and peers. */
  readonly clients: Host;
  /** Gives the address to a host; nobody else has it then, but one that is unplugged. */
  moveAddress(to: Host): Promise<void>;
}

/** Two relays on hosts of their own, `failover: address`, and an address that can move from one to the other. */
export async function startMovingFleet(stage: Stage): Promise<MovingFleet> {
  const hosts = await makeNetwork(stage, ["redis", "relay-0", "relay-1", "clients"]);
  const [redisHost, first, second, clients] = hosts;
  if (!redisHost || !first || !second || !clients) throw new Error("the network lacks hosts");
  const redis = await startRedis(stage, [], { host: redisHost.ip, port: REDIS_PORT, namespace: redisHost.namespace });
  await first.addAddress(MOVING_IP);
  const station = async (host: Host, name: string): Promise<Station> => {
    const section = relaySection({
      name,
      ip: host.ip,
      shared: [MOVING_IP],
      redisUrl: `redis://${redisHost.ip}:${REDIS_PORT}`,
      natsUrl: undefined,
      fleet: { failover: "address" },
    });
    const relay = await RelayProcess.create(stage, {
      name,
      config: section,
      ops: { host: "127.0.0.1", port: OPS_PORT },
      namespace: host.namespace,
    });
    await relay.start();
    return { host, relay };
  };
  const holder = await station(first, "relay-0");
  const survivor = await station(second, "relay-1");
  // A relay can vouch for the end of another only if it has been in the fleet for two leases before (ADR 0011).
  await sleep(VOUCH_MS);
  return {
    uri: `turn:${MOVING_IP}:${TURN_PORT}`,
    ip: MOVING_IP,
    redis,
    redisHost,
    holder,
    survivor,
    clients,
    async moveAddress(to) {
      for (const host of [first, second]) {
        if (host !== to) await host.removeAddress(MOVING_IP).catch(() => undefined);
      }
      await to.addAddress(MOVING_IP);
      await clients.pointTo(MOVING_IP, to);
    },
  };
}
