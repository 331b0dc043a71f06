import type { Case } from "./cases.ts";
import type { Loadgen, Trial } from "./loadgen.ts";
import { secondsWaited } from "./procfs.ts";
import { median, type Samples } from "./samples.ts";
import type { Server } from "./servers.ts";

/** One figure of a benchmark, by server in the order of the servers. */
export interface Figure {
  readonly bench: string;
  readonly unit: string;
  readonly samples: readonly Samples[];
  /** What else a reader must know: at which rate it was taken, or what limited it. */
  readonly note?: string;
}

export interface Context {
  readonly loadgen: Loadgen;
  readonly servers: readonly Server[];
  readonly rounds: number;
  readonly step: number;
  readonly measure: number;
  readonly progress: (line: string) => void;
}

type Measure = (bench: Case, context: Context) => Promise<readonly Figure[]>;

const FIRST_RATE = 20_000;
/** How far below the highest rate that all reach CPU is compared, and latency. */
const CPU_LOAD = 0.7;
const HALF_LOAD = 0.5;

/** Share of a trial for which other processes may keep the generator or the server waiting. */
const MAX_DISTURBANCE = 0.03;
/** Being woken counts as waiting, too: up to this share in a trial that nothing disturbed. */
const WAKING = 0.15;
const MAX_TRIES = 5;

const MEASURES: Readonly<Record<Case["kind"], Measure>> = {
  throughput: measureThroughput,
  latency: measureLatency,
  setup: measureSetups,
  memory: measureMemory,
  steady: measureSteady,
  workers: measureWorkers,
};

export function measure(bench: Case, context: Context): Promise<readonly Figure[]> {
  return MEASURES[bench.kind](bench, context);
}

async function measureThroughput(bench: Case, context: Context): Promise<readonly Figure[]> {
  const { samples, note } = await saturate(bench, context, context.rounds);
  const throughput: Figure = { bench: bench.name, unit: "packets/s", samples, ...(note !== undefined && { note }) };
  if (bench.cpu !== true) return [throughput];
  const rate = Math.round(lowestMedian(samples) * CPU_LOAD);
  const trials = await interleave(context, context.rounds, async (server) => {
    const trial = await calm(context, server, bench, rate);
    context.progress(`${bench.name} ${server.spec.name}: ${describe(trial)}`);
    return trial;
  });
  const cpu: Figure = {
    bench: `${bench.name}-cpu`,
    unit: "us CPU/packet",
    samples: trials.map((ofServer) => ofServer.map(cpuOf)),
    note: noteOf(rate, trials),
  };
  return [throughput, cpu];
}

/** Latency at half of what the slower one reaches, so that all carry the same load. */
async function measureLatency(bench: Case, context: Context): Promise<readonly Figure[]> {
  const { samples } = await saturate(bench, context, 1);
  const rate = Math.round(lowestMedian(samples) * HALF_LOAD);
  const trials = await interleave(context, context.rounds, async (server) => {
    const trial = await calm(context, server, bench, rate);
    const { p50, p99 } = trial.latencyUs;
    context.progress(`${bench.name} ${server.spec.name}: p50 ${p50} us, p99 ${p99} us`);
    return trial;
  });
  return (["p50", "p99"] as const).map((quantile) => ({
    bench: `${bench.name}-${quantile}`,
    unit: "us",
    samples: trials.map((ofServer) => ofServer.map((trial) => trial.latencyUs[quantile])),
    note: noteOf(rate, trials),
  }));
}

async function measureSetups(bench: Case, context: Context): Promise<readonly Figure[]> {
  const samples = await interleave(context, context.rounds, async (server) => {
    const { perSecond } = await context.loadgen.allocate(server, bench.load);
    context.progress(`${bench.name} ${server.spec.name}: ${perSecond.toFixed(0)} a second`);
    return perSecond;
  });
  return [{ bench: bench.name, unit: "set-ups/s", samples }];
}

/** Once: a second time the memory that the first left behind would be used again. */
async function measureMemory(bench: Case, context: Context): Promise<readonly Figure[]> {
  const samples = await interleave(context, 1, async (server) => {
    const { bytesPerAllocation } = await context.loadgen.hold(server, bench.load);
    return bytesPerAllocation;
  });
  return [{ bench: bench.name, unit: "bytes/allocation", samples }];
}

async function measureSteady(bench: Case, context: Context): Promise<readonly Figure[]> {
  const rate = bench.rate ?? FIRST_RATE;
  const trials = await interleave(context, context.rounds, async (server) => {
    const trial = await calm(context, server, bench, rate);
    context.progress(`${bench.name} ${server.spec.name}: ${describe(trial)}`);
    return trial;
  });
  const note = noteOf(rate, trials);
  const delivered = trials.map((ofServer) => ofServer.map((trial) => trial.deliveredPps));
  return [
    { bench: bench.name, unit: "packets/s", samples: delivered, note },
    { bench: `${bench.name}-cpu`, unit: "us CPU/packet", samples: trials.map((all) => all.map(cpuOf)), note },
  ];
}

/**
 * Two workers against one, on two cores of which the generator needs one. Its share is subtracted: what was delivered is set
 * against the cores that were left for the server.
 */
async function measureWorkers(bench: Case, context: Context): Promise<readonly Figure[]> {
  const full = await interleave(context, context.rounds, async (server) => {
    const trial = await context.loadgen.rate(server, bench.load, undefined, context.measure);
    const left = server.spec.spread ? 2 - trial.generatorCores : 1;
    context.progress(
      `${bench.name} ${server.spec.version}: ${describe(trial)}, ${left.toFixed(2)} cores left for it, ` +
        `${(trial.serverCores ?? Number.NaN).toFixed(2)} used`,
    );
    return trial.deliveredPps / left;
  });
  const rate = bench.rate ?? FIRST_RATE;
  const steady = await interleave(context, context.rounds, async (server) => {
    const trial = await context.loadgen.rate(server, bench.load, rate, context.measure);
    context.progress(`${bench.name} ${server.spec.version}: ${describe(trial)}`);
    return cpuOf(trial);
  });
  return [
    { bench: bench.name, unit: "packets/s per core left", samples: full, note: "as many as the generator sends" },
    { bench: `${bench.name}-cpu`, unit: "us CPU/packet", samples: steady, note: `at ${rate} packets/s` },
  ];
}

async function saturate(
  bench: Case,
  context: Context,
  rounds: number,
): Promise<{ samples: readonly Samples[]; note: string | undefined }> {
  const last = new Map<Server, number>();
  const limited = new Set<string>();
  const unheld = new Set<string>();
  const samples = await interleave(context, rounds, async (server) => {
    // A later round begins where the one before ended, a little below.
    const start = (last.get(server) ?? FIRST_RATE / 0.8) * 0.8;
    const { step, measure: length } = context;
    const found = await context.loadgen.search(server, bench.load, { start, step, measure: length });
    last.set(server, found.best.deliveredPps);
    if (found.generatorLimited) limited.add(server.spec.name);
    if (!found.held) unheld.add(server.spec.name);
    const flaws = `${found.generatorLimited ? ", generator at its limit" : ""}${found.held ? "" : ", did not hold"}`;
    context.progress(`${bench.name} ${server.spec.name}: ${describe(found.best)}${flaws}`);
    return found.best.deliveredPps;
  });
  const notes = [
    ...(limited.size > 0 ? [`generator at its limit with ${[...limited].join(", ")}`] : []),
    ...(unheld.size > 0 ? [`more than 1 % lost in a round of ${[...unheld].join(", ")}`] : []),
  ];
  return { samples, note: notes.length > 0 ? notes.join("; ") : undefined };
}

/** A B A B A B: what the machine does meanwhile falls on all alike. Samples by server. */
async function interleave<T>(
  context: Context,
  rounds: number,
  take: (server: Server) => Promise<T>,
): Promise<readonly (readonly T[])[]> {
  const taken = context.servers.map((): T[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [index, server] of context.servers.entries()) taken[index]?.push(await take(server));
  }
  return taken;
}

interface Calm extends Trial {
  /** Share of the time for which other processes kept the generator, or the server, waiting: the higher of the two. */
  readonly disturbance: number;
}

/** A trial at one rate, repeated while other processes disturb it; the calmest, where all were disturbed. */
async function calm(context: Context, server: Server, bench: Case, rate: number): Promise<Calm> {
  let best: Calm | undefined;
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const waited = secondsWaited(server.pid);
    const trial = await context.loadgen.rate(server, bench.load, rate, context.measure);
    const serverWaited = (secondsWaited(server.pid) - waited) / context.measure;
    const disturbance = Math.max(trial.generatorHeldUp, serverWaited - WAKING);
    if (best === undefined || disturbance < best.disturbance) best = { ...trial, disturbance };
    if (disturbance <= MAX_DISTURBANCE) return best;
    context.progress(
      `${bench.name} ${server.spec.name}: the generator waited ${percent(trial.generatorHeldUp)} of the time for its ` +
        `core, the server ${percent(serverWaited)}`,
    );
  }
  if (best === undefined) throw new Error("no trial was made");
  return best;
}

function noteOf(rate: number, trials: readonly (readonly Calm[])[]): string {
  const worst = Math.max(...trials.flat().map(({ disturbance }) => disturbance));
  const waited = `; up to ${percent(worst)} of the time spent waiting for a core`;
  return `at ${rate} packets/s${worst > MAX_DISTURBANCE ? waited : ""}`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function lowestMedian(samples: readonly Samples[]): number {
  return Math.min(...samples.map(median));
}

export function cpuOf(trial: Trial): number {
  return trial.serverCpuUsPerPacket ?? Number.NaN;
}

export function describe(trial: Trial): string {
  const cpu = cpuOf(trial).toFixed(2);
  return `${trial.deliveredPps.toFixed(0)} packets/s, ${(trial.loss * 100).toFixed(2)} % lost, ${cpu} us CPU/packet`;
}
