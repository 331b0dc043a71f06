import { setTimeout as delay } from "node:timers/promises";
import { type RedisUsage, readRedisUsage, usageBetween } from "@culvert/testkit";
import { type Redis, startNats, startRedis } from "./backing.ts";
import { brief, type Compared, type FleetCase, type FleetContext } from "./case.ts";
import { BenchRelay } from "./relay.ts";

const NAME = "redis-cost";
/** A call of this many seconds is measured, played in fewer. */
const CALL = 600;
const PLAYED = 30;
const PLAYED_QUICK = 10;
const USAGE_INTERVAL = 60;
const PACKETS = 60;
/** Part of a call's time over which the calls of a run begin. */
const SPREAD = 0.2;
const FEW = 100;
const MANY = 5000;
const MANY_QUICK = 1000;
/** Until what was written behind is written. */
const SETTLE_MS = 1500;
/** What the meter itself asks of Redis. */
const METER = new Set(["info", "dbsize", "ping", "command", "command|docs", "config|resetstat"]);

interface Cost {
  /** Scripts called: one round trip each, or less where several go together. */
  readonly scripts: number;
  /** Commands run within them. */
  readonly commands: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Of the server's one thread. */
  readonly microseconds: number;
}

interface Call {
  readonly cost: Cost;
  /** What an allocation holds while it lives. */
  readonly memory: number;
}

/**
 * What a call costs Redis, beyond what its relay costs it anyway. The ten minutes are played in half of one: what clients ask
 * for comes at the same points of the call, and the relay writes what it carried that much more often, so that each call
 * causes the same writes. What a relay does by the clock, whatever it carries, is measured before and subtracted.
 */
export const redisCost: FleetCase = {
  name: NAME,
  async compare(context) {
    const played = secondsPlayed(context.quick);
    const many = context.quick ? MANY_QUICK : MANY;
    const [redis, nats] = await Promise.all([startRedis(context), startNats(context)]);
    const usageInterval = Math.max(1, Math.round((USAGE_INTERVAL * played) / CALL));
    const relay = await BenchRelay.start(context, {
      label: `${many} calls at once`,
      fleet: { redisPort: redis.port, nats, usageInterval },
    });
    const meter = new Meter(redis);
    // Scripts are loaded, and V8 has compiled, before anything counts.
    await context.loadgen.allocate(relay.server, ["--count", "200"]);
    await delay(SETTLE_MS);
    const idle = await meter.perSecond(context.quick ? 5 : 10);
    context.progress(
      `${NAME}: a relay without calls: ${brief(idle.scripts)} scripts, ${brief(idle.commands)} commands, ` +
        `${brief(idle.bytesIn)} bytes in and ${brief(idle.bytesOut)} out a second`,
    );
    const calls: Call[] = [];
    for (const count of [many, FEW]) calls.push(await play(context, relay, meter, idle, count, played));
    const note = `a call of ${CALL} s in ${played} s; a relay costs ${brief(idle.scripts)} scripts/s besides`;
    const specs = [relay.spec, { name: "culvert", version: `${FEW} calls at once` }];
    const figure = (bench: string, unit: string, of: (call: Call) => number): Compared => ({
      figure: { bench: `${NAME}-${bench}`, unit, samples: calls.map((call) => [of(call)]), note },
      specs,
    });
    return [
      figure("scripts", "scripts/call", ({ cost }) => cost.scripts),
      figure("commands", "commands/call, those within scripts", ({ cost }) => cost.commands),
      figure("in", "bytes/call to Redis", ({ cost }) => cost.bytesIn),
      figure("out", "bytes/call from Redis", ({ cost }) => cost.bytesOut),
      figure("cpu", "us/call of Redis's thread", ({ cost }) => cost.microseconds),
      figure("memory", "bytes/allocation in Redis", ({ memory }) => memory),
    ];
  },
};

/** CALL_SECONDS=600 plays it in real time. */
function secondsPlayed(quick: boolean): number {
  const { CALL_SECONDS: text } = process.env;
  if (text === undefined) return quick ? PLAYED_QUICK : PLAYED;
  const seconds = Number(text);
  if (!(seconds >= 10 && seconds <= CALL && seconds % 10 === 0)) {
    throw new Error(`CALL_SECONDS ${text}: must be a multiple of 10 from 10 to ${CALL}`);
  }
  return seconds;
}

async function play(
  context: FleetContext,
  relay: BenchRelay,
  meter: Meter,
  idle: Cost,
  count: number,
  played: number,
): Promise<Call> {
  const spread = played * SPREAD;
  const before = await meter.read();
  const load = ["--count", `${count}`, "--time", `${played}`, "--spread", `${spread}`, "--packets", `${PACKETS}`];
  const middle = delay(((played + spread) / 2) * 1000).then(() => meter.memory());
  const [done, memory] = await Promise.all([
    context.loadgen.call(relay.server, load, (played + spread) * 1000),
    middle,
  ]);
  await delay(SETTLE_MS);
  const after = await meter.read();
  const { packetsSent, packetsDelivered } = done.played;
  if (packetsSent !== count * PACKETS || packetsDelivered !== packetsSent) {
    throw new Error(`${NAME}: ${packetsDelivered} of ${packetsSent} packets arrived, of ${count} calls`);
  }
  if (after.usage.keys !== before.usage.keys) {
    throw new Error(`${NAME}: ${after.usage.keys - before.usage.keys} keys more in Redis after ${count} calls`);
  }
  const seconds = (after.at - before.at) / 1000;
  const cost = meter.cost(before.usage, after.usage, 1);
  const each = mapCost(cost, (value, name) => (value - idle[name] * seconds) / count);
  const grown = (memory - before.usage.memory) / count;
  context.progress(
    `${NAME} ${count} calls: ${brief(each.scripts)} scripts, ${brief(each.commands)} commands, ${brief(each.bytesIn)} bytes ` +
      `in and ${brief(each.bytesOut)} out, ${brief(each.microseconds)} us a call; ${brief(grown)} bytes of memory each`,
  );
  return { cost: each, memory: grown };
}

interface Reading {
  readonly usage: RedisUsage;
  readonly at: number;
}

/** Reads what a Redis has done, less what reading it takes. */
class Meter {
  readonly #redis: Redis;
  #own = { bytesIn: 0, bytesOut: 0 };

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  async read(): Promise<Reading> {
    const usage = await readRedisUsage(this.#redis);
    return { usage, at: performance.now() };
  }

  async memory(): Promise<number> {
    return (await this.read()).usage.memory;
  }

  /** What it does by the clock. */
  async perSecond(seconds: number): Promise<Cost> {
    // A reading takes all that happens between two that follow each other; renewals in between make little of it.
    const [first, second] = [await this.read(), await this.read()];
    const { bytesIn, bytesOut } = usageBetween(first.usage, second.usage);
    this.#own = { bytesIn, bytesOut };
    const before = await this.read();
    await delay(seconds * 1000);
    const after = await this.read();
    const elapsed = (after.at - before.at) / 1000;
    return mapCost(this.cost(before.usage, after.usage), (value) => value / elapsed);
  }

  /** Of what was done between two readings, with as many others in between. */
  cost(before: RedisUsage, after: RedisUsage, others = 0): Cost {
    const { commands, bytesIn, bytesOut } = usageBetween(before, after);
    const own = [...commands].filter(([name]) => !METER.has(name));
    const scripts = own.filter(([name]) => name.startsWith("eval"));
    const total = (rows: typeof own, of: "calls" | "microseconds"): number =>
      rows.reduce((sum, [, usage]) => sum + usage[of], 0);
    return {
      scripts: total(scripts, "calls"),
      commands: total(own, "calls") - total(scripts, "calls"),
      bytesIn: bytesIn - (1 + others) * this.#own.bytesIn,
      bytesOut: bytesOut - (1 + others) * this.#own.bytesOut,
      microseconds: total(scripts, "microseconds"),
    };
  }
}

function mapCost(cost: Cost, map: (value: number, name: keyof Cost) => number): Cost {
  const { scripts, commands, bytesIn, bytesOut, microseconds } = cost;
  return {
    scripts: map(scripts, "scripts"),
    commands: map(commands, "commands"),
    bytesIn: map(bytesIn, "bytesIn"),
    bytesOut: map(bytesOut, "bytesOut"),
    microseconds: map(microseconds, "microseconds"),
  };
}
