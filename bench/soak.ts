import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { isApart, runApart } from "./apart.ts";
import { type Check, flat, type Reading, reconcile } from "./ledger.ts";
import { LOADGEN, Loadgen } from "./loadgen.ts";
import { chooseCores, commit, describeMachine } from "./machine.ts";
import { scrape } from "./metrics.ts";
import { stopAll } from "./processes.ts";
import { kernelDrops, openDescriptors, residentBytes } from "./procfs.ts";
import { freeTcpPort, ours, type Server, start } from "./servers.ts";

const RESULT = "bench/out/soak.jsonl";
const SAMPLE_MS = 1000;
/** Of the time under load: memory is looked at after it. */
const WARM_UP = 1 / 3;
/** What memory may grow by after the warm-up, in bytes a second: under 0.1 % of it a second. */
const MAX_GROWTH = 65_536;
const SETTLE_MS = 10_000;
/** Every packet counts: none is given up before a second of silence. */
const LOAD = ["--mode", "channel", "--size", "200", "--patience", "1"];
const BOTH_WAYS = [...LOAD, "--flows", "25"];
const CHURN = [...LOAD, "--flows", "200", "--window", "200", "--hold", "0.05"];
const USAGE = "usage: bench/soak.ts [--seconds N]   (10 to 180, default 60)";

async function main(): Promise<void> {
  process.chdir(join(import.meta.dirname, ".."));
  const seconds = parseSeconds();
  await Loadgen.build(new AbortController().signal);
  if (!isApart()) return runApart(LOADGEN);
  const stopping = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => stopping.abort(new Error(`stopped by ${signal}`)));
  }
  const directory = mkdtempSync(join(tmpdir(), "culvert-soak-"));
  try {
    await soak(seconds, directory, stopping.signal);
  } finally {
    await stopAll();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function soak(seconds: number, directory: string, signal: AbortSignal): Promise<void> {
  const cores = chooseCores();
  console.log(describeMachine());
  const opsPort = await freeTcpPort();
  const server = await start(ours(commit(), { opsPort }), cores, directory, signal);
  const loadgen = new Loadgen(cores.generator, signal);
  await loadgen.churn(server, CHURN, 2);
  await idle(opsPort);
  const read = async (): Promise<Reading> => ({
    metrics: await scrape(opsPort),
    kernel: kernelDrops(),
    descriptors: openDescriptors(server.pid),
  });

  const before = await read();
  const sampling = new AbortController();
  const memory = sample(server, sampling.signal);
  // When the relay ends early, the generator tells.
  memory.catch(() => undefined);
  const [toPeer, toClient, churn] = await Promise.all([
    loadgen.account(server, BOTH_WAYS, undefined, seconds),
    loadgen.account(server, [...BOTH_WAYS, "--direction", "to-client"], undefined, seconds),
    loadgen.churn(server, CHURN, seconds),
  ]);
  sampling.abort();
  await idle(opsPort);
  const after = await read();

  const samples = await memory;
  const counted = reconcile(before, after, { toPeer: [toPeer, churn], toClient: [toClient] });
  const checks = [...counted, flat(samples.slice(Math.ceil(samples.length * WARM_UP)), MAX_GROWTH)];
  const used = toPeer.trial.serverCores ?? Number.NaN;
  console.log(
    `${seconds} s: ${pps(toPeer.trial.deliveredPps)} to peers and ${pps(toClient.trial.deliveredPps)} to clients, ` +
      `${churn.allocations} allocations made and released meanwhile; ${used.toFixed(2)} cores, ` +
      `resident ${mib(samples[0])} at first, ${mib(Math.max(...samples))} at most, ${mib(samples.at(-1))} at last\n`,
  );
  console.log(table(checks));
  const line = {
    bench: "soak",
    seconds,
    deliveredPps: { toPeer: toPeer.trial.deliveredPps, toClient: toClient.trial.deliveredPps },
    allocations: churn.allocations,
    serverCores: used,
    residentBytes: samples,
    checks,
    ok: checks.every(({ ok }) => ok),
  };
  mkdirSync("bench/out", { recursive: true });
  writeFileSync(RESULT, `${JSON.stringify(line)}\n`);
  console.log(`\n${JSON.stringify({ ...line, residentBytes: undefined })}`);
  if (!line.ok) process.exitCode = 1;
}

/** Waits until the last allocation is gone. */
async function idle(opsPort: number): Promise<void> {
  const deadline = Date.now() + SETTLE_MS;
  while ((await scrape(opsPort)).sum("culvert_relay_relay_sockets") > 0 && Date.now() < deadline) await delay(100);
}

async function sample(server: Server, signal: AbortSignal): Promise<readonly number[]> {
  const samples: number[] = [];
  while (!signal.aborted) {
    samples.push(residentBytes(server.pid));
    await delay(SAMPLE_MS, undefined, { signal }).catch(() => undefined);
  }
  return samples;
}

function table(checks: readonly Check[]): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  const rows = checks.map(({ name, seen, wanted, ok }) =>
    [name.padEnd(width), count(seen).padStart(14), count(wanted).padStart(14), ok ? "ok" : "WRONG"].join("  "),
  );
  return [["".padEnd(width), "the server's".padStart(14), "wanted".padStart(14)].join("  "), ...rows].join("\n");
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}

function pps(value: number): string {
  return `${count(Math.round(value))} packets/s`;
}

function mib(bytes = 0): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

function parseSeconds(): number {
  const { values } = parseArgs({ options: { seconds: { type: "string", default: "60" } } });
  const seconds = Number(values.seconds);
  if (!Number.isInteger(seconds) || seconds < 10 || seconds > 180) {
    throw new Error(`--seconds ${values.seconds}: must be a whole number from 10 to 180\n${USAGE}`);
  }
  return seconds;
}

try {
  await main();
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
