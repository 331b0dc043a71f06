import { execFile } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { LOADGEN } from "../loadgen.ts";
import { type Running, startPinned } from "../processes.ts";
import { freeTcpPort, HOST } from "../servers.ts";
import type { FleetContext } from "./case.ts";

const START_MS = 10_000;
const run = promisify(execFile);

/** A Redis that keeps nothing on disk, on the generator's core: in a fleet it is on another machine than the relays. */
export interface Redis {
  readonly port: number;
  /** Runs a command; resolves to what redis-cli prints. */
  command(...words: readonly string[]): Promise<string>;
}

export async function startRedis(context: FleetContext): Promise<Redis> {
  const port = await freeTcpPort();
  const command = async (...words: readonly string[]): Promise<string> => {
    const { stdout } = await run("redis-cli", ["-h", HOST, "-p", String(port), ...words]);
    return stdout.trim();
  };
  const words = ["--bind", HOST, "--port", String(port), "--save", "", "--appendonly", "no"];
  const server = startPinned(
    [context.cores.generator],
    ["redis-server", ...words, "--dir", mkdtempSync(join(context.directory, "redis-"))],
  );
  await until(server, "redis-server", async () => (await command("ping").catch(() => "")) === "PONG");
  return { port, command };
}

/** NATS with JetStream. Resolves to `host:port`. */
export async function startNats(context: FleetContext): Promise<string> {
  const port = await freeTcpPort();
  const store = mkdtempSync(join(context.directory, "nats-"));
  const words = ["--addr", HOST, "--port", String(port), "--jetstream", "--store_dir", store];
  const server = startPinned([context.cores.generator], ["nats-server", ...words]);
  await until(server, "nats-server", () => Promise.resolve(server.output().includes("Server is ready")));
  return `${HOST}:${port}`;
}

/** A way to a Redis that is `microseconds` long in each direction. */
export interface DelayedWay {
  readonly port: number;
  /** What its connections that ended were late beyond that, in microseconds: the worst of both directions. */
  lateness(): { readonly p50: number; readonly p99: number } | undefined;
}

export async function startDelay(context: FleetContext, to: number, microseconds: number): Promise<DelayedWay> {
  const port = await freeTcpPort();
  const words = ["--listen", `${HOST}:${port}`, "--to", `${HOST}:${to}`, "--microseconds", String(microseconds)];
  const proxy = startPinned([context.cores.generator], [LOADGEN, "delay", ...words]);
  await until(proxy, "loadgen delay", async () => {
    const answer = await run("redis-cli", ["-h", HOST, "-p", String(port), "ping"]).catch(() => undefined);
    return answer?.stdout.trim() === "PONG";
  });
  return {
    port,
    lateness() {
      const ways = proxy
        .output()
        .split("\n")
        .filter((line) => line.startsWith("{"))
        .map((line): Lateness => JSON.parse(line))
        // Those that only asked whether it is there have next to nothing to tell.
        .flatMap(({ chunks, lateUs }) => (chunks > MANY_CHUNKS ? [lateUs.there, lateUs.back] : []));
      if (ways.length === 0) return undefined;
      return { p50: Math.max(...ways.map(({ p50 }) => p50)), p99: Math.max(...ways.map(({ p99 }) => p99)) };
    },
  };
}

const MANY_CHUNKS = 1000;

interface Lateness {
  readonly chunks: number;
  readonly lateUs: Readonly<Record<"there" | "back", { readonly p50: number; readonly p99: number }>>;
}

async function until(server: Running, name: string, holds: () => Promise<boolean>): Promise<void> {
  let ended = false;
  void server.ended.then(() => {
    ended = true;
  });
  const deadline = Date.now() + START_MS;
  while (!(await holds())) {
    if (ended || Date.now() > deadline) {
      await server.stop();
      throw new Error(`${name} did not come up: ${server.output() || "is it installed?"}`);
    }
    await delay(50);
  }
}
