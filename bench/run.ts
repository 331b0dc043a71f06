import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { useRunFolder } from "@culvert/testkit";
import { isApart, runApart } from "./apart.ts";
import type { Case } from "./cases.ts";
import { LOADGEN, Loadgen } from "./loadgen.ts";
import { type Cores, chooseCores, commit, describeMachine, load } from "./machine.ts";
import { measure } from "./measure.ts";
import { type Options, parseOptions, USAGE, UsageError } from "./options.ts";
import { stopAll } from "./processes.ts";
import { type Line, linesOf, ResultFile, table } from "./report.ts";
import { coturn, forwarder, ours, type Server, type ServerSpec, start } from "./servers.ts";

const RESULTS = "bench/out/latest.jsonl";
const BUSY_LOAD = 0.5;

const say = (line: string): void => console.error(`bench: ${line}`);

async function main(): Promise<void> {
  useRunFolder();
  process.chdir(join(import.meta.dirname, ".."));
  const options = parseOptions(process.argv.slice(2));
  await Loadgen.build(new AbortController().signal);
  if (!isApart()) return runApart(LOADGEN);
  const results = new ResultFile(RESULTS);
  const stopping = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => stopping.abort(new Stopped(`stopped by ${signal}`)));
  }
  const directory = mkdtempSync(join(tmpdir(), "culvert-bench-"));
  try {
    await runAll(options, results, directory, stopping.signal);
  } catch (error) {
    throw stopping.signal.aborted ? stopping.signal.reason : error;
  } finally {
    await stopAll();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function runAll(options: Options, results: ResultFile, directory: string, signal: AbortSignal): Promise<void> {
  const cores = chooseCores();
  const loadgen = new Loadgen(cores.generator, signal);
  const fleet = new Fleet(cores, directory, signal);
  await introduce(cores, loadgen, options);

  const known = specifications();
  const lines: Line[] = [];
  for (const bench of options.cases) {
    if ("compare" in bench) {
      await fleet.stop();
      const context = { ...options, loadgen, cores, directory, signal, commit: commit(), progress: say };
      const measured = (await bench.compare(context)).flatMap(({ figure, specs }) => linesOf(figure, specs));
      await stopAll();
      results.append(measured);
      lines.push(...measured);
      continue;
    }
    const specs = known[bench.against];
    if (bench.kind === "memory") await fleet.stop();
    const servers = await fleet.of(specs);
    const { rounds, step, measure: length } = options;
    const figures = await measure(bench, { loadgen, servers, rounds, step, measure: length, progress: say });
    const measured = figures.flatMap((figure) => linesOf(figure, specs));
    results.append(measured);
    lines.push(...measured);
  }
  console.log(
    `${table(lines)}\n\nEach figure is the median of ${options.rounds} interleaved rounds; lines in ${RESULTS}`,
  );
}

async function introduce(cores: Cores, loadgen: Loadgen, options: Options): Promise<void> {
  console.log(describeMachine());
  console.log(`servers on core ${cores.server}, generator on core ${cores.generator}; ${options.rounds} rounds`);
  if (!cores.apart) say("only one core: servers and generator take it from each other, so the figures say little");
  if (load() > BUSY_LOAD) say(`the machine is busy (load ${load().toFixed(2)}): expect noise, and go by the ratios`);
  const { deliveredPps, raw } = await loadgen.itself();
  const how = raw ? "packet socket" : "UDP socket";
  console.log(`the generator alone, sending through a ${how}: ${Math.round(deliveredPps)} packets/s\n`);
}

/** Ours first, then what it is set beside. The same objects on each call. */
function specifications(): Readonly<Record<Case["against"], readonly ServerSpec[]>> {
  const { COTURN_BIN: program, COTURN_FLAGS: flags = "" } = process.env;
  const own = ours(commit());
  const peers = [coturn("turnserver")];
  if (program !== undefined)
    peers.push(
      coturn(
        program,
        flags.split(/\s+/).filter((flag) => flag !== ""),
      ),
    );
  return { peers: [own, ...peers], floor: [own, forwarder(LOADGEN)], workers: [ours(commit(), { workers: 2 }), own] };
}

/** The servers that run, each started when it is first needed. An idle one takes no CPU. */
class Fleet {
  readonly #started = new Map<ServerSpec, Server>();
  readonly #cores: Cores;
  readonly #directory: string;
  readonly #signal: AbortSignal;

  constructor(cores: Cores, directory: string, signal: AbortSignal) {
    this.#cores = cores;
    this.#directory = directory;
    this.#signal = signal;
  }

  async of(specs: readonly ServerSpec[]): Promise<readonly Server[]> {
    const servers: Server[] = [];
    for (const spec of specs) {
      const server = this.#started.get(spec) ?? (await this.#start(spec));
      servers.push(server);
    }
    return servers;
  }

  /** Stops all, so that what runs next is as it is after its start. */
  async stop(): Promise<void> {
    await Promise.all([...this.#started.values()].map((server) => server.stop()));
    this.#started.clear();
  }

  async #start(spec: ServerSpec): Promise<Server> {
    const server = await start(spec, this.#cores, mkdtempSync(join(this.#directory, "server-")), this.#signal);
    this.#started.set(spec, server);
    return server;
  }
}

class Stopped extends Error {}

try {
  await main();
} catch (error) {
  if (error instanceof Stopped) {
    say(error.message);
    process.exitCode = 130;
  } else if (error instanceof UsageError) {
    console.error(`${error.message}\n${USAGE}`);
    process.exitCode = 2;
  } else {
    say(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  }
}
