import { cpuOf, describe, measure } from "../measure.ts";
import { median, spread } from "../samples.ts";
import { startNats, startRedis } from "./backing.ts";
import { brief, type Compared, type FleetCase, type FleetContext } from "./case.ts";
import { BenchRelay } from "./relay.ts";
import { Steady } from "./steady.ts";

/** What is relayed: as `udp-channel-200`. */
const LOAD = ["--mode", "channel", "--size", "200"];
const NAME = "state-overhead";
/** Of pairs of trials at one rate: each is short, and the differences are small. */
const PAIRS_PER_ROUND = 4;
const CPU_LOAD = 0.7;

/** The data path of a relay in a fleet beside that of one on its own: packets must not pay for the state. */
export const stateOverhead: FleetCase = {
  name: NAME,
  async compare(context) {
    const [redis, nats] = await Promise.all([startRedis(context), startNats(context)]);
    const inFleet = await BenchRelay.start(context, { label: "in a fleet", fleet: { redisPort: redis.port, nats } });
    const alone = await BenchRelay.start(context, { label: "on its own" });
    const servers = [inFleet.server, alone.server];
    const specs = [inFleet.spec, alone.spec];
    const bench = { name: NAME, kind: "throughput", load: LOAD, against: "peers" } as const;
    const [reached] = await measure(bench, { ...context, servers });
    if (reached === undefined) throw new Error("no rate was found");
    const rate = Math.round(Math.min(...reached.samples.map(median)) * CPU_LOAD);
    return [
      { figure: reached, specs },
      { figure: await compareCpu(context, [inFleet, alone], rate), specs },
    ];
  },
};

/** A B, B A, A B, ...: neither is always the first, nor far from the other in time. */
async function compareCpu(
  context: FleetContext,
  relays: readonly [BenchRelay, BenchRelay],
  rate: number,
): Promise<Compared["figure"]> {
  const samples: readonly [number[], number[]] = [[], []];
  const steady = new Steady(context.loadgen, rate, context.measure);
  for (let pair = 0; pair < context.rounds * PAIRS_PER_ROUND; pair++) {
    for (const index of pair % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
      const { server } = relays[index];
      const trial = await steady.take(server, LOAD);
      samples[index].push(cpuOf(trial));
      context.progress(`${NAME} ${index === 0 ? "in a fleet" : "on its own"}: ${describe(trial)}`);
    }
  }
  const ratios = samples[0].map((cpu, pair) => cpu / (samples[1][pair] ?? Number.NaN));
  const [low, high] = spread(ratios);
  return {
    bench: `${NAME}-cpu`,
    unit: "us CPU/packet",
    samples,
    note: `${steady.note}; by pairs ${median(ratios).toFixed(3)}, ${brief(low)} to ${brief(high)}`,
  };
}
