import { setTimeout as delay } from "node:timers/promises";
import type { Trial } from "../loadgen.ts";
import { cpuOf, describe } from "../measure.ts";
import { median } from "../samples.ts";
import type { Server } from "../servers.ts";
import { startNats, startRedis } from "./backing.ts";
import { brief, type Compared, type FleetCase, type FleetContext } from "./case.ts";
import { BenchRelay } from "./relay.ts";
import { Steady } from "./steady.ts";

const NAME = "mesh";
const CHANNEL = ["--mode", "channel", "--size", "200"];
const FIRST_RATE = 20_000;
/** Of what the mesh reaches, when CPU is compared. */
const CPU_LOAD = 0.7;
/** Until relays that have just started know each other. */
const ACQUAINTANCE_MS = 3000;

/** Packets that come to a relay which does not own them, and go on to the one that does. */
export const mesh: FleetCase = {
  name: NAME,
  async compare(context) {
    const [redis, nats] = await Promise.all([startRedis(context), startNats(context)]);
    const fleet = { redisPort: redis.port, nats };
    const start = (identity: string, min: number): Promise<BenchRelay> =>
      BenchRelay.start(context, {
        label: "over the mesh",
        identity,
        fleet,
        ports: { min, max: min + 4999 },
        frontend: "balancer",
      });
    const owner = await start("relay-0", 10_000);
    const other = await start("relay-1", 20_000);
    await delay(ACQUAINTANCE_MS, undefined, { signal: context.signal });

    const { server } = owner;
    const both = ["--server-pid", `${other.server.pid}`];
    const ways: Ways = { mesh: [...CHANNEL, ...both, "--enter", other.server.address], direct: [...CHANNEL, ...both] };
    const specs = [owner.spec, { name: "culvert", version: "straight to the owner" }];
    const reached = await search(context, server, ways);
    const rate = Math.round(Math.min(...reached.samples.map(median)) * CPU_LOAD);
    const toPeers = await compareCpu(context, server, ways, rate, `${NAME}-cpu`);
    const back = ["--direction", "to-client"];
    const answers = { mesh: [...ways.mesh, ...back], direct: [...ways.direct, ...back] };
    const toClients = await compareCpu(context, server, answers, rate, `${NAME}-to-client-cpu`);
    return [reached, toPeers, toClients].map((figure) => ({ figure, specs }));
  },
};

interface Ways {
  readonly mesh: readonly string[];
  readonly direct: readonly string[];
}
type Figure = Compared["figure"];

async function search(context: FleetContext, server: Server, ways: Ways): Promise<Figure> {
  const { step, measure } = context;
  const samples: Record<keyof Ways, number[]> = { mesh: [], direct: [] };
  const limited = new Set<string>();
  const unheld = new Set<string>();
  for (let round = 0; round < context.rounds; round++) {
    for (const way of ["mesh", "direct"] as const) {
      const start = (samples[way].at(-1) ?? FIRST_RATE / 0.8) * 0.8;
      const found = await context.loadgen.search(server, ways[way], { start, step, measure });
      samples[way].push(found.best.deliveredPps);
      if (found.generatorLimited) limited.add(way);
      if (!found.held) unheld.add(way);
      context.progress(`${NAME} ${way}: ${describe(found.best)}`);
    }
  }
  const notes = [
    "both relays on one core",
    ...(limited.size > 0 ? [`generator at its limit with ${[...limited].join(", ")}`] : []),
    ...(unheld.size > 0 ? [`more than 1 % lost in a round of ${[...unheld].join(", ")}`] : []),
  ];
  return { bench: NAME, unit: "packets/s", samples: [samples.mesh, samples.direct], note: notes.join("; ") };
}

async function compareCpu(
  context: FleetContext,
  server: Server,
  ways: Ways,
  rate: number,
  bench: string,
): Promise<Figure> {
  const trials: Record<keyof Ways, Trial[]> = { mesh: [], direct: [] };
  const steady = new Steady(context.loadgen, rate, context.measure);
  for (let round = 0; round < context.rounds; round++) {
    for (const way of round % 2 === 0 ? (["mesh", "direct"] as const) : (["direct", "mesh"] as const)) {
      const trial = await steady.take(server, ways[way]);
      trials[way].push(trial);
      context.progress(`${bench} ${way}: ${describe(trial)}`);
    }
  }
  const of = (index: number): string =>
    brief(median(trials.mesh.map(({ serverCpuUsPerPacketEach: each }) => each[index] ?? Number.NaN)));
  return {
    bench,
    unit: "us CPU/packet",
    samples: [trials.mesh.map(cpuOf), trials.direct.map(cpuOf)],
    note: `${steady.note}; both relays together: the owner ${of(0)}, the other ${of(1)}`,
  };
}
