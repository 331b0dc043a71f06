import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { TestCertificate } from "./certificate.ts";
import { accessOf, type RedisLogin, type RedisServer, startRedis } from "./redis.ts";

const run = promisify(execFile);
const WAIT_MS = 45_000;
const LOOK_MS = 50;

/** Who gets into a group of servers, and how. By default everybody, over plain TCP. */
export interface RedisGroupAccess {
  readonly tls?: TestCertificate;
  /** ACL users as `user` lines of redis.conf have them, beside the group's own; the default user is off then. */
  readonly users?: readonly string[];
  /** Likewise of the Sentinels. */
  readonly sentinelUsers?: readonly string[];
}

/** The user of a group's own members, and of tests, where there are users. */
const OPERATOR: RedisLogin = { username: "operator", password: "not-for-clients" };

/** Options of every server of a group, and what it is told about the others. */
function membersOf({ tls, users }: RedisGroupAccess) {
  const between = tls === undefined ? [] : ["--tls-replication", "yes"];
  const access = { ...(tls === undefined ? {} : { tls }), ...(users === undefined ? {} : { login: OPERATOR }) };
  const replication = users === undefined ? [] : ["--masteruser", OPERATOR.username, "--masterauth", OPERATOR.password];
  return { access, args: [...between, ...replication, ...userWords(users)], between };
}

function userWords(users: readonly string[] | undefined): readonly string[] {
  if (users === undefined) return [];
  const operator = `${OPERATOR.username} on >${OPERATOR.password} ~* &* +@all`;
  return [...users, operator, "default off"].flatMap((user) => ["--user", ...user.split(" ")]);
}

/** A master, a replica, and Sentinels that watch them. */
export interface RedisSentinel {
  /** `host:port` of each Sentinel. */
  readonly sentinels: readonly string[];
  /** The name by which they know the master. */
  readonly master: string;
  /** The servers; which one is the master changes. */
  readonly servers: readonly [RedisServer, RedisServer];
  masterNow(this: void): Promise<RedisServer>;
  /** Kills the master, and resolves once the replica is one. */
  failOver(): Promise<void>;
  dispose(): Promise<void>;
}

/** Starts two servers and three Sentinels, which take a second to call a server down. */
export async function startRedisSentinel(group: RedisGroupAccess = {}): Promise<RedisSentinel> {
  const { access, args, between } = membersOf(group);
  const sentinelLogin = group.sentinelUsers === undefined ? {} : { login: OPERATOR };
  const started: RedisServer[] = [];
  const start = async (options: Parameters<typeof startRedis>[0]): Promise<RedisServer> => {
    const server = await startRedis(options);
    started.push(server);
    return server;
  };
  const dispose = async (): Promise<void> => {
    await Promise.all(started.map((server) => server.dispose()));
  };
  const master = "culvert";
  try {
    const first = await start({ ...access, args });
    const second = await start({ ...access, args: [...args, "--replicaof", "127.0.0.1", String(first.port)] });
    await until(async () => (await second.command("info", "replication")).includes("master_link_status:up"));
    const config = [
      `sentinel monitor ${master} 127.0.0.1 ${first.port} 2`,
      `sentinel down-after-milliseconds ${master} 1000`,
      `sentinel failover-timeout ${master} 5000`,
      ...(access.login === undefined ? [] : [`sentinel auth-user ${master} ${OPERATOR.username}`]),
      ...(access.login === undefined ? [] : [`sentinel auth-pass ${master} ${OPERATOR.password}`]),
      ...(group.sentinelUsers === undefined ? [] : [`sentinel sentinel-user ${OPERATOR.username}`]),
      ...(group.sentinelUsers === undefined ? [] : [`sentinel sentinel-pass ${OPERATOR.password}`]),
    ];
    const { tls } = access;
    const ways = { ...(tls === undefined ? {} : { tls }), ...sentinelLogin };
    const words = [...between, ...userWords(group.sentinelUsers), "--sentinel"];
    const sentinels = await Promise.all([1, 2, 3].map(() => start({ ...ways, config, args: words })));
    for (const sentinel of sentinels) {
      // They agree only once they know each other and the replica.
      await until(async () => {
        const fields = (await sentinel.command("sentinel", "master", master)).split("\n");
        const count = (name: string): number => Number(fields[fields.indexOf(name) + 1]);
        return count("num-slaves") === 1 && count("num-other-sentinels") === 2;
      });
    }
    const isMaster = async (server: RedisServer): Promise<boolean> =>
      (await server.command("role").catch(() => "")).startsWith("master");
    const masterNow = async (): Promise<RedisServer> => ((await isMaster(first)) ? first : second);
    const failOver = async (): Promise<void> => {
      const old = await masterNow();
      const next = old === first ? second : first;
      await old.stop();
      await until(() => isMaster(next));
    };
    const addresses = sentinels.map(({ address }) => address);
    return { sentinels: addresses, master, servers: [first, second], masterNow, failOver, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** A Redis Cluster. */
export interface RedisCluster {
  readonly nodes: readonly RedisServer[];
  /** The node that has a key now. */
  masterOf(key: string): Promise<RedisServer>;
  /** Kills the node that has a key, and resolves once its replica has it. */
  failOver(key: string): Promise<void>;
  dispose(): Promise<void>;
}

/** Starts three masters with a replica each, which call a node down after a second. */
export async function startRedisCluster(group: RedisGroupAccess = {}): Promise<RedisCluster> {
  const { access, args: member } = membersOf(group);
  const cluster = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"];
  const args = [...cluster, "--cluster-replica-validity-factor", "0", ...member];
  if (access.tls !== undefined) args.push("--tls-cluster", "yes");
  const started = await Promise.allSettled([1, 2, 3, 4, 5, 6].map(() => startRedis({ ...access, args })));
  const nodes = started.flatMap((result) => (result.status === "fulfilled" ? result.value : []));
  const dispose = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.dispose()));
  };
  const masterOf = async (key: string): Promise<RedisServer> => {
    for (const node of nodes) {
      // A master without the slot says MOVED, and so does a replica.
      const answer = await node.command("set", key, "", "px", "1").catch(() => "down");
      if (answer === "OK") return node;
    }
    throw new Error(`no node has ${key}`);
  };
  try {
    const failed = started.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    const addresses = nodes.map(({ address }) => address);
    await run("redis-cli", [
      ...accessOf(access),
      "--cluster",
      "create",
      ...addresses,
      "--cluster-replicas",
      "1",
      "--cluster-yes",
    ]);
    for (const node of nodes) {
      await until(async () => {
        const info = await node.command("cluster", "info");
        const replication = await node.command("info", "replication");
        return info.includes("cluster_state:ok") && /role:master|master_link_status:up/.test(replication);
      });
    }
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    nodes,
    masterOf,
    async failOver(key) {
      const old = await masterOf(key);
      await old.stop();
      await until(async () => (await masterOf(key).catch(() => old)) !== old);
    },
    dispose,
  };
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + WAIT_MS;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`Redis did not come to it within ${WAIT_MS} ms: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
