import type { Setups } from "../loadgen.ts";
import { median } from "../samples.ts";
import { startDelay, startNats, startRedis } from "./backing.ts";
import { brief, type Compared, type FleetCase } from "./case.ts";
import { BenchRelay } from "./relay.ts";

const NAME = "allocate-redis";
/** Each way, in microseconds: Redis is 1 ms away. */
const ONE_WAY = 500;
const COUNT = 2000;
/** Of the lowest rate of all, when the time for one is measured. */
const LOAD = 0.5;

/** Set-ups with Redis beside the relay, 1 ms away, and without Redis: how many, and how long an Allocate takes. */
export const allocateRedis: FleetCase = {
  name: NAME,
  async compare(context) {
    const count = ["--count", `${context.quick ? COUNT / 4 : COUNT}`];
    // Each fleet has a Redis of its own: one relay each.
    const [near, far, nats] = await Promise.all([startRedis(context), startRedis(context), startNats(context)]);
    const way = await startDelay(context, far.port, ONE_WAY);
    const beside = await BenchRelay.start(context, { label: "Redis beside it", fleet: { redisPort: near.port, nats } });
    const away = await BenchRelay.start(context, { label: "Redis 1 ms away", fleet: { redisPort: way.port, nats } });
    const alone = await BenchRelay.start(context, { label: "without Redis" });
    const relays = [beside, away, alone];

    const inTurn = async (rounds: number, load: readonly string[]): Promise<readonly (readonly Setups[])[]> => {
      const taken = relays.map((): Setups[] => []);
      for (let round = 0; round < rounds; round++) {
        for (const [index, { server }] of relays.entries()) {
          const setups = await context.loadgen.allocate(server, load);
          taken[index]?.push(setups);
          const p50 = setups.latencyUs?.Allocate?.p50;
          const took = p50 === undefined ? "" : `, Allocate p50 ${p50} us`;
          context.progress(`${NAME} ${server.spec.version}: ${setups.perSecond.toFixed(0)} a second${took}`);
        }
      }
      return taken;
    };
    // The first set-ups of a process are slow: V8 compiles.
    await inTurn(1, count);
    const rates = (await inTurn(context.rounds, count)).map((all) => all.map(({ perSecond }) => perSecond));
    const rate = Math.round(Math.min(...rates.map(median)) * LOAD);
    const timed = await inTurn(context.rounds, [...count, "--rate", `${rate}`]);
    await Promise.all(relays.map((relay) => relay.stop()));

    const late = way.lateness();
    const lateness = late === undefined ? "unknown" : `p50 ${brief(late.p50)} us, p99 ${brief(late.p99)} us`;
    const [ofBeside = [], ofAway = [], ofAlone = []] = rates;
    const specs = relays.map(({ spec }) => spec);
    const [besideSpec, awaySpec, aloneSpec] = specs;
    if (!besideSpec || !awaySpec || !aloneSpec) throw new Error("a relay is missing");
    const quantiles = (["p50", "p99"] as const).map((quantile): Compared => {
      const [b = [], f = [], n = []] = timed.map((all) =>
        all.map(({ latencyUs }) => (latencyUs?.Allocate?.[quantile] ?? Number.NaN) / 1000),
      );
      return {
        figure: {
          bench: `${NAME}-1ms-${quantile}`,
          unit: "ms",
          samples: [f, b, n],
          note: `at ${rate} set-ups/s; Redis is 0.5 ms away each way, late by ${lateness}`,
        },
        specs: [awaySpec, besideSpec, aloneSpec],
      };
    });
    return [
      { figure: { bench: NAME, unit: "set-ups/s", samples: [ofBeside, ofAlone] }, specs: [besideSpec, aloneSpec] },
      { figure: { bench: `${NAME}-1ms`, unit: "set-ups/s", samples: [ofAway, ofAlone] }, specs: [awaySpec, aloneSpec] },
      ...quantiles,
    ];
  },
};
