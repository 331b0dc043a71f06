import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { useRunFolder } from "@culvert/testkit";
import { isApart, runApart } from "./apart.ts";
import { type Check, type Reading, reconcile } from "./ledger.ts";
import { type Account, LOADGEN, Loadgen, type Trial } from "./loadgen.ts";
import { chooseCores, commit, describeMachine } from "./machine.ts";
import { scrape } from "./metrics.ts";
import { stopAll } from "./processes.ts";
import { kernelDrops, openDescriptors, residentBytes } from "./procfs.ts";
import { freeTcpPort, ours, type Server, start } from "./servers.ts";

const RESULT = "bench/out/soak.jsonl";
type Steady = Account & { readonly trial: Trial };

const SAMPLE_MS = 1000;
/** Of the load, before anything is counted: what is set up once is there then, and the compiler has done its work. */
const WARM_UP_SECONDS = 15;
const SETTLE_MS = 10_000;
/** What one leaves to finalizers, the next one frees. */
const COLLECTIONS = 3;
/** Every packet counts: none is given up before five seconds of silence. */
const LOAD = ["--mode", "channel", "--size", "200", "--patience", "5"];
const BOTH_WAYS = [...LOAD, "--flows", "25"];
const CHURN = [...LOAD, "--flows", "200", "--window", "200", "--hold", "0.05"];
const USAGE = "usage: bench/soak.ts [--seconds N]   (10 to 180, default 60)";

async function main(): Promise<void> {
  useRunFolder();
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
  const server = await start(ours(commit(), { opsPort, collects: true }), cores, directory, signal);
  const loadgen = new Loadgen(cores.generator, signal);
  await load(loadgen, server, WARM_UP_SECONDS);
  const before = await read(server, opsPort);
  const sampling = new AbortController();
  const memory = sample(server, sampling.signal);
  // When the relay ends early, the generator tells.
  memory.catch(() => undefined);
  const [toPeer, toClient, churn] = await load(loadgen, server, seconds);
  sampling.abort();
  const samples = await memory;
  const after = await read(server, opsPort);

  const checks = reconcile(before, after, { toPeer: [toPeer, churn], toClient: [toClient] });
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

/** All that the generator can send, each way through allocations that stay, and beside it allocations that come and go. */
function load(loadgen: Loadgen, server: Server, seconds: number): Promise<[Steady, Steady, Account]> {
  return Promise.all([
    loadgen.account(server, BOTH_WAYS, undefined, seconds),
    loadgen.account(server, [...BOTH_WAYS, "--direction", "to-client"], undefined, seconds),
    loadgen.churn(server, CHURN, seconds),
  ]);
}

/** What the relay holds when its last allocation is gone and its garbage is collected. */
async function read(server: Server, opsPort: number): Promise<Reading> {
  const deadline = Date.now() + SETTLE_MS;
  while ((await scrape(opsPort)).sum("culvert_relay_relay_sockets") > 0 && Date.now() < deadline) await delay(100);
  for (let pass = 0; pass < COLLECTIONS; pass++) {
    process.kill(server.pid, "SIGUSR2");
    await delay(500);
  }
  return {
    metrics: await scrape(opsPort),
    kernelDrops: kernelDrops(),
    descriptors: openDescriptors(server.pid),
    resident: residentBytes(server.pid),
  };
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
