import { setTimeout as delay } from "node:timers/promises";
import { residentBytes } from "../procfs.ts";
import { median } from "../samples.ts";
import type { Server } from "../servers.ts";
import { startNats, startRedis } from "./backing.ts";
import { brief, type FleetCase, type FleetContext } from "./case.ts";
import { BenchRelay } from "./relay.ts";

const NAME = "restore";
const COUNT = 5000;
const SAMPLE_MS = 100;
/** What a client may notice of a restart, in milliseconds. */
const LIMIT = { name: "limit", version: "for a restart" };
const LIMIT_MS = 2000;

interface Round {
  readonly first: number;
  readonly last: number;
  readonly median: number;
  /** The most that was resident before the kill, and after it. */
  readonly before: number;
  readonly after: number;
}

/** A relay is killed under its allocations and started again: when they relay again, and what that takes of memory. */
export const restore: FleetCase = {
  name: NAME,
  async compare(context) {
    const [redis, nats] = await Promise.all([startRedis(context), startNats(context)]);
    const relay = await BenchRelay.start(context, {
      label: "in a fleet",
      fleet: { redisPort: redis.port, nats },
    });
    const empty = await startEmpty(context, relay);
    const rounds: Round[] = [];
    for (let round = 0; round < context.rounds; round++) rounds.push(await restart(context, relay));
    const of = (value: (round: Round) => number): number[] => rounds.map(value);
    const note =
      `${COUNT} allocations, probed all the time; half of them after ${brief(median(of((one) => one.median)))} ms; ` +
      `a start without any takes ${brief(empty)} ms until it is ready`;
    const limit = rounds.map(() => LIMIT_MS);
    const time = (
      which: "first" | "last",
    ): { readonly bench: string; readonly unit: string; readonly note: string } => ({
      bench: `${NAME}-${which}`,
      unit: "ms since the SIGKILL",
      note,
    });
    return [
      { figure: { ...time("first"), samples: [of(({ first }) => first), limit] }, specs: [relay.spec, LIMIT] },
      { figure: { ...time("last"), samples: [of(({ last }) => last), limit] }, specs: [relay.spec, LIMIT] },
      {
        figure: {
          bench: `${NAME}-memory`,
          unit: "bytes resident at most",
          samples: [of(({ after }) => after), of(({ before }) => before)],
          note: `with ${COUNT} allocations`,
        },
        specs: [relay.spec, { name: "the same relay", version: "before the kill" }],
      },
    ];
  },
};

/** Milliseconds that a start takes while there is nothing to restore. */
async function startEmpty(context: FleetContext, relay: BenchRelay): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < context.rounds; round++) {
    await relay.stop();
    relay.relaunch();
    times.push(await relay.ready());
  }
  return median(times);
}

async function restart(context: FleetContext, relay: BenchRelay): Promise<Round> {
  const { loadgen } = context;
  const before = new Watch(relay.server);
  let after: Watch | undefined;
  const killed = relay.server.ended.then(() => {
    before.stop();
    if (context.signal.aborted) return;
    relay.relaunch();
    after = new Watch(relay.server);
  });
  const restored = await loadgen.restore(relay.server, ["--count", `${COUNT}`]);
  await killed;
  after?.stop();
  const { first, last, median: half, toPeers, toClients, misdelivered } = restored;
  context.progress(
    `${NAME}: first after ${first.toFixed(0)} ms, half after ${half.toFixed(0)} ms, last after ${last.toFixed(0)} ms`,
  );
  if (toPeers < COUNT || toClients < COUNT || misdelivered > 0) {
    throw new Error(
      `restore: of ${COUNT} allocations ${toPeers} relayed again to peers and ${toClients} to clients; ` +
        `${misdelivered} packets misdelivered`,
    );
  }
  return { first, last, median: half, before: before.peak, after: after?.peak ?? Number.NaN };
}

/** Looks how much memory a process takes until it ends. */
class Watch {
  peak = 0;
  readonly #stopping = new AbortController();

  constructor(server: Server) {
    void this.#follow(server.pid);
  }

  stop(): void {
    this.#stopping.abort();
  }

  async #follow(pid: number): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        this.peak = Math.max(this.peak, residentBytes(pid));
        await delay(SAMPLE_MS, undefined, { signal });
      } catch {
        // It has ended, or nobody wants to know any more.
        return;
      }
    }
  }
}
