import { execFileSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Cores } from "./machine.ts";
import { type Running, startPinned } from "./processes.ts";

export const HOST = "127.0.0.1";
const REALM = "bench.culvert";
export const USER = { username: "bench", password: "bench-password" };
/** Which of ours: "native" or, to compare, "node". */
const { DATA_PLANE = "native" } = process.env;
/**
 * Collects garbage when told to. V8's young generation is small and of one size: else it grows to twice 16 MiB while much is allocated, is given
 * back some seconds after that or later, and resident memory tells how busy the last minute was.
 */
const COLLECTS = [
  "--expose-gc",
  "--min-semi-space-size=1",
  "--max-semi-space-size=1",
  "--import",
  "data:text/javascript,process.on('SIGUSR2', () => gc())",
];
const START_LIMIT_MS = 30_000;

/** A server to measure; `command` is told its port and a directory of its own. */
export interface ServerSpec {
  readonly name: string;
  readonly version: string;
  readonly role: "ours" | "peer" | "floor";
  readonly command: (port: number, directory: string) => readonly string[];
  /** Runs on the generator's core, too. */
  readonly spread?: boolean;
}

export interface Server extends Running {
  readonly spec: ServerSpec;
  readonly address: string;
}

export interface OursOptions {
  /** Threads of the native data plane, which then run on all cores. Default: one, on the servers' core. */
  readonly workers?: number;
  /** Collects garbage at SIGUSR2. */
  readonly collects?: boolean;
  /** Port of /metrics, which is off where there is none. */
  readonly opsPort?: number;
  /** What its version says of it. Default: nothing. */
  readonly label?: string;
  /** What comes on top in its section of the configuration, told its port. */
  readonly section?: (port: number) => object;
}

export function ours(commit: string, options: OursOptions = {}): ServerSpec {
  const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
  const { workers, label = "" } = options;
  const threads = workers === undefined ? "" : `, ${workers} workers`;
  return {
    name: "culvert",
    version: `${version} (${commit}), ${DATA_PLANE} data plane${threads}${label && `, ${label}`}`,
    role: "ours",
    spread: workers !== undefined,
    command(port, directory) {
      const file = join(directory, "culvert.yaml");
      // JSON is YAML too.
      writeFileSync(file, JSON.stringify({ relay: relayConfig(port, options) }, null, 2));
      return [process.execPath, ...(options.collects ? COLLECTS : []), "cli/bin/culvert.js", "relay", "--config", file];
    },
  };
}

function relayConfig(port: number, { workers, opsPort, section }: OursOptions): object {
  return {
    realm: REALM,
    listeners: [{ transport: "udp", ip: HOST, port }],
    addresses: [HOST],
    ports: { min: 10_000, max: 19_999 },
    auth: { users: [USER] },
    peers: { dangerouslyAllow: ["127.0.0.0/8"] },
    dataPlane: { kind: DATA_PLANE, ...(workers !== undefined && { workers }) },
    ops: opsPort === undefined ? { enabled: false } : { host: HOST, port: opsPort },
    logLevel: "error",
    ...section?.(port),
  };
}

/** coturn as `program`, one relay thread, nothing it does for a test only. */
export function coturn(program: string, extraFlags: readonly string[] = []): ServerSpec {
  const help = textOf(program, "-h");
  const known = (flag: string): boolean => new RegExp(`${flag.split("=")[0]}(?![\\w-])`).test(help);
  const version = /\d+\.\d+\S*/.exec(textOf(program, "--version"))?.[0] ?? "unknown version";
  return {
    name: "coturn",
    version: [version, ...extraFlags].join(" "),
    role: "peer",
    command(port, directory) {
      const required = [
        "-n",
        "-m",
        "1",
        "--lt-cred-mech",
        `--user=${USER.username}:${USER.password}`,
        `--realm=${REALM}`,
        `--listening-ip=${HOST}`,
        `--relay-ip=${HOST}`,
        `--listening-port=${port}`,
        "--min-port=20000",
        "--max-port=29999",
        "--allow-loopback-peers",
        `--pidfile=${join(directory, "coturn.pid")}`,
        "--log-file=stdout",
      ];
      // What some versions have and others no longer.
      const optional = [
        "--no-tls",
        "--no-dtls",
        "--no-cli",
        "--no-software-attribute",
        `--userdb=${join(directory, "coturn.db")}`,
      ];
      return [program, ...required, ...optional.filter(known), ...extraFlags];
    },
  };
}

/** The bare forwarder of the generator. */
export function forwarder(loadgen: string): ServerSpec {
  return {
    name: "forwarder",
    version: "recvmmsg/sendmmsg",
    role: "floor",
    command: (port) => [loadgen, "forward", "--listen", `${HOST}:${port}`],
  };
}

/** Starts a server and waits until it answers a Binding request. */
export async function start(spec: ServerSpec, cores: Cores, directory: string, signal: AbortSignal): Promise<Server> {
  const port = await freePort();
  const allowed = spec.spread ? [cores.server, cores.generator] : [cores.server];
  const running = startPinned(allowed, spec.command(port, directory), { NODE_ENV: "production" });
  let ended = false;
  void running.ended.then(() => {
    ended = true;
  });
  const deadline = Date.now() + START_LIMIT_MS;
  while (!(await answers(port))) {
    signal.throwIfAborted();
    if (ended) throw new Error(`${spec.name} ended at its start: ${running.output()}`);
    if (Date.now() > deadline) {
      await running.stop();
      throw new Error(`${spec.name} did not answer within ${START_LIMIT_MS / 1000} s: ${running.output()}`);
    }
    await delay(100, undefined, { signal });
  }
  return { ...running, spec, address: `${HOST}:${port}` };
}

/** A TCP port that was free a moment ago. */
export async function freeTcpPort(): Promise<number> {
  const server = createServer();
  server.listen(0, HOST);
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("a TCP server has no port");
  return address.port;
}

/** A UDP port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const socket = createSocket("udp4");
  socket.bind(0, HOST);
  await once(socket, "listening");
  const { port } = socket.address();
  socket.close();
  return port;
}

async function answers(port: number): Promise<boolean> {
  const socket = createSocket("udp4");
  try {
    const request = Buffer.from(`000100002112a442${"c0de".repeat(6)}`, "hex");
    const answer = once(socket, "message", { signal: AbortSignal.timeout(200) });
    socket.send(request, port, HOST);
    await answer;
    return true;
  } catch {
    return false;
  } finally {
    socket.close();
  }
}

function textOf(program: string, flag: string): string {
  try {
    return execFileSync(program, [flag], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  } catch (error) {
    throw new Error(`${program} ${flag}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
